"""Training that is killed, told to stop, or shared by processes comes to the same end."""

import random
import signal
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from domain.model import ModelCard, ModelId
from infra.local.sagemaker.containers.containers import unpack
from tests.support.builders.images import encoded
from tests.support.worlds.jobs import Job, data_set, lines, noisy
from tests.support.worlds.serving_process import serving

pytestmark = pytest.mark.usefixtures("one_thread")

EVERY_STEP = {"checkpoint_seconds": "0"}
ALL = {
    "unfreeze": "all",
    "lr": "0.003",
    "ema": "0.9",
    "mixup": "0.2",
    "patience": "3",
    "image-size": "32",
}
HEAD = {"unfreeze": "head", "optimizer": "sgd"}
SECONDS = 180
ATTEMPTS = 10


def made(root: Path) -> Job:
    job = Job(root)
    data_set(job.channel)
    return job


def losses(log: str) -> dict[int, float]:
    return {int(each["step"]): each["loss"] for each in lines(log, "loss")}


def reached(step: int, log: Path, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + SECONDS
    while max(losses(log.read_text()), default=0) < step:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def killed(root: Path, told: dict[str, str], log: Path, steps: int) -> Job:
    """A job killed at a step by chance, before its last; those that were quicker count for nothing.

    A step is told before it is saved: when the second is told, the first is there.
    """
    for attempt in range(ATTEMPTS):
        job = made(root / str(attempt))
        log.write_text("")
        process = job.start(log, **told, **EVERY_STEP)
        try:
            reached(random.randint(2, steps - 2), log, process)
        finally:
            process.kill()
            process.wait()
        if max(losses(log.read_text())) < steps:
            return job
    raise AssertionError(f"{ATTEMPTS} jobs were all quicker than whoever was to kill them")


def ended(process: "subprocess.Popen[bytes]") -> int:
    try:
        return process.wait(SECONDS)
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("told", [ALL, HEAD], ids=["all layers", "head"])
def test_a_job_killed_at_any_step_goes_on_as_if_nothing_had_been(
    told: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, log = made(tmp_path / "whole"), tmp_path / "log"
    assert whole.run(**told) == 0, whole.failure
    expected = losses(capsys.readouterr().out)
    broken = killed(tmp_path / "broken", told, log, len(expected))
    assert not broken.model.exists()
    assert broken.run(**told, **EVERY_STEP) == 0, broken.failure
    resumed = capsys.readouterr().out
    assert "resumed after step" in resumed
    for found in (losses(log.read_text()), losses(resumed)):
        assert found
        for step, loss in found.items():
            assert loss == pytest.approx(expected[step], abs=1e-4)
    assert max(losses(resumed)) == len(expected)
    assert card(broken).metrics == pytest.approx(card(whole).metrics, abs=1e-4)


@pytest.mark.slow
def test_a_job_told_to_stop_saves_where_it_is(
    tmp_path: Path,
) -> None:
    job, log = made(tmp_path / "ml"), tmp_path / "log"
    log.touch()
    process = job.start(log, **ALL, epochs="200")
    reached(3, log, process)
    process.send_signal(signal.SIGTERM)
    assert ended(process) == 128 + signal.SIGTERM
    assert not job.failure
    assert not job.model.exists()
    done = max(losses(log.read_text()))
    again = job.start(log, **ALL, epochs="200")
    reached(done + 1, log, again)
    again.send_signal(signal.SIGTERM)
    assert ended(again) == 128 + signal.SIGTERM
    assert f"resumed after step {done}" in log.read_text()


@pytest.mark.slow
def test_two_processes_learn_what_one_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone, shared, log = made(tmp_path / "alone"), made(tmp_path / "shared"), tmp_path / "log"
    assert alone.run(**HEAD) == 0, alone.failure
    expected = losses(capsys.readouterr().out)
    assert ended(shared.start(log, **HEAD, processes="2")) == 0, log.read_text()
    found = losses(log.read_text())
    assert found.keys() == expected.keys()
    for step, loss in found.items():
        assert loss == pytest.approx(expected[step], abs=2e-3)
    assert card(shared).metrics == pytest.approx(card(alone).metrics, abs=2e-3)


@pytest.mark.slow
def test_two_processes_fail_as_one(tmp_path: Path) -> None:
    job, log = made(tmp_path / "ml"), tmp_path / "log"
    told = {"unfreeze": "all", "lr": "1000000", "optimizer": "sgd", "clip": "0", "image-size": "32"}
    assert ended(job.start(log, **told, backbone_lr="1", processes="2")) == 1, log.read_text()
    assert "training diverged" in job.failure
    assert not job.model.exists()


@pytest.mark.slow
def test_what_training_leaves_behind_serves(tmp_path: Path) -> None:
    job = made(tmp_path / "ml")
    assert job.run(name="colours") == 0, job.failure
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as archive:
        archive.add(job.model, arcname=".")
    (tmp_path / "served").mkdir()
    unpack(tmp_path / "model.tar.gz", tmp_path / "served")
    model = ModelId("colours", 1, job.card.digest)
    with serving(tmp_path / "served", model, tmp_path / "serve.log") as server:
        for colour in ("red", "green", "blue"):
            answer = server.post(encoded(noisy(colour, 5000)), content_type="image/png").json()
            assert answer["labels"][0]["label"] == colour


def card(job: Job) -> ModelCard:
    return ModelCard.from_json((job.model / "card.json").read_text())
