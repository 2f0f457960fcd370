"""SIGTERM before the server is warm, or training has begun: heard, whoever is the first process."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

from domain.model import ModelId
from tests.support.worlds.jobs import QUICK, Job, data_set
from tests.support.worlds.serving_process import ROOT, free_port

pytestmark = pytest.mark.slow

MOMENTS = (0.05, 0.15, 0.3, 0.5, 0.8, 1.2)
"""Seconds after the start: the shell, Python's imports, and OpenVINO that compiles."""

GONE_SECONDS = 60
"""Far beyond the second that it takes: a SIGTERM that is lost is never heard at all."""

NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
AS_FIRST_PROCESS = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="a PID namespace of its own needs root and unshare",
)


def stop(command: Sequence[str], seconds: float, environment: dict[str, str]) -> int:
    """The exit status after SIGTERM to the command itself, not to who made its namespace."""
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        time.sleep(seconds)
        inside = psutil.Process(process.pid).children() if command[0] == NAMESPACE[0] else []
        os.kill(inside[0].pid if inside else process.pid, signal.SIGTERM)
        process.wait(GONE_SECONDS)
    finally:
        process.kill()
        _, errors = process.communicate()
    assert b"terminate called" not in errors
    return process.returncode


def environment(**more: str) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return {"PATH": path, "PYTHONPATH": str(ROOT), "HOME": os.environ["HOME"], **more}


@pytest.mark.parametrize("seconds", MOMENTS)
@pytest.mark.parametrize(
    "before", [(), pytest.param(NAMESPACE, marks=AS_FIRST_PROCESS)], ids=["", "first"]
)
def test_a_server_that_is_not_warm_ends_with_0(
    before: Sequence[str], seconds: float, random_model: tuple[Path, ModelId]
) -> None:
    folder, model = random_model
    found = environment(
        SM_MODEL_DIR=str(folder),
        SORTBOX_MODEL_ID=str(model),
        SORTBOX_CONTAINER="test",
        SAGEMAKER_BIND_TO_PORT=str(free_port()),
    )
    assert stop([*before, str(ROOT / "infra/container/serve")], seconds, found) == 0


@pytest.mark.parametrize("seconds", MOMENTS)
@pytest.mark.parametrize(
    "before", [(), pytest.param(NAMESPACE, marks=AS_FIRST_PROCESS)], ids=["", "first"]
)
def test_a_training_that_has_not_begun_ends_with_143(
    before: Sequence[str], seconds: float, tmp_path: Path
) -> None:
    """It has work for hours: where it could fail by itself, a quick machine saw that status."""
    job = Job(tmp_path)
    data_set(job.channel)
    job.configure(QUICK | {"epochs": "10000"})
    command = [*before, str(ROOT / "infra/container/train")]
    assert stop(command, seconds, environment(**job.variables)) == 143
