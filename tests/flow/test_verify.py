"""The acceptance run, as a person types it, in a local cloud that it makes and removes."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from infra.local.place import REPOSITORY, VARIABLE
from infra.local.processes import MARK
from infra.verify import permissions

pytestmark = [pytest.mark.flow, pytest.mark.slow]

PERSONAL = r"\b\d{12}\b|arn:aws|AKIA|ASIA|AROA|sortbox-local-0{12}|000000000000"


def verify(root: Path, *options: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, str(REPOSITORY / "cli"), "verify", "--stage", "local", *options],
        cwd=root,
        env={**os.environ, VARIABLE: str(root / "local"), "COLUMNS": "200"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=_listen_to_interrupts,
    )


def _listen_to_interrupts() -> None:
    """Where tests run in the background, a shell has told them to ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def ends(root: Path, *options: str) -> tuple[int, str]:
    with verify(root, "--yes", "--out", str(root / "out"), *options) as command:
        output, _ = command.communicate()
    return command.returncode, output


def report(root: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((root / "out" / "verify.json").read_text())
    return document


def nothing_is_left(root: Path) -> None:
    assert [path.name for path in (root / "local" / "verify" / "local").iterdir()] == ["verify.log"]
    ours = []
    for process in psutil.process_iter():
        try:
            environ = process.environ()
        except psutil.Error:
            continue
        if MARK in environ and environ.get(VARIABLE, "").startswith(str(root)):
            ours.append(process)
    assert ours == []


def test_every_step_passes_on_the_local_cloud_and_the_report_names_nobody(tmp_path: Path) -> None:
    with verify(tmp_path, "--yes", "--out", str(tmp_path / "out")) as command:
        assert command.stdout is not None
        line = next(line for line in command.stdout if line.startswith("ok      model"))
        command.send_signal(signal.SIGINT)
        rest = command.stdout.read()
    assert command.returncode == 130, line + rest
    assert "The same command resumes." in rest

    code, output = ends(tmp_path)
    assert code == 0, output
    assert "Resuming; passed before: identity, region, quotas, deploy, image, model" in output
    document = report(tmp_path)
    assert {row["state"] for row in document["steps"]} == {"passed"}
    assert {row["state"] for row in document["clean_up"]} == {"passed"}
    assert document["result"] == "passed"
    for name in ("verify.json", "verify.html"):
        text = (tmp_path / "out" / name).read_text()
        assert re.findall(PERSONAL, text) == [], name
    sometimes = set(permissions.SOMETIMES)
    calls = {
        operation
        for operation in document["operations"]
        if not sometimes.issuperset(permissions.actions_of(operation) or [operation])
    }
    assert calls == set(permissions.recorded()), "infra/verify/calls.json is what a run calls"
    nothing_is_left(tmp_path)


def test_a_fresh_account_is_told_how_to_ask_for_quotas_and_nothing_is_made(tmp_path: Path) -> None:
    code, output = ends(tmp_path, "--account", "fresh")
    assert code == 3, output
    states = {row["name"]: row["state"] for row in report(tmp_path)["steps"]}
    assert [name for name, state in states.items() if state == "passed"] == ["identity", "region"]
    assert states["quotas"] == "failed"
    assert states["deploy"] == states["alarms"] == "not run"
    [quotas] = [row for row in report(tmp_path)["steps"] if row["name"] == "quotas"]
    assert re.search(r" is 0, .+ needs \d+: ask for more", quotas["observed"])
    nothing_is_left(tmp_path)
