"""Training that is watched: what the debugger and the profiler leave, and what never stops it."""

import fcntl
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from domain.model import ModelCard
from tests.support.builders.pages import foreign_markup
from tests.support.worlds.jobs import Job
from training.config import hook_config
from training.debugger import report
from training.debugger.report import ISSUE, NOT_APPLICABLE
from training.debugger.smdebug_compat import ModeKeys
from training.debugger.tensors import SavedTensors


def debug(job: Job) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((job.reports / "debug.json").read_text())
    return told


def profile(job: Job) -> dict[str, Any]:
    path = job.reports / "ProfilerReport/profiler-output/profiler-report.json"
    told: dict[str, Any] = json.loads(path.read_text())
    return told


def state(job: Job, rule: str) -> str:
    [found] = [each for each in debug(job)["verdicts"] if each["rule"] == rule]
    text: str = found["state"]
    return text


def configure(job: Job, tensors: Path, *collections: hook_config.Collection) -> None:
    """The job brings a DebugHookConfig, as SageMaker tells it."""
    config = job.root / "input" / "config"
    config.mkdir(parents=True, exist_ok=True)
    content = {"LocalPath": str(tensors), "CollectionConfigurations": collections}
    (config / hook_config.CONFIG_FILE).write_text(json.dumps(content))


def assert_done(job: Job, status: int) -> ModelCard:
    assert status == 0, job.failure
    assert not job.failure
    return job.card


def test_a_job_leaves_losses_of_its_three_splits_a_verdict_a_rule_and_a_profile(job: Job) -> None:
    assert_done(job, job.run(unfreeze="all", image_size="32", epochs="2", debug_interval="3"))
    told = debug(job)
    assert told["state"] == "on"
    assert {split: len(points) for split, points in told["losses"].items()} == {
        "train": 4,
        "train, mean": 2,
        "validation": 2,
        "test": 2,
    }
    assert {each["rule"] for each in told["verdicts"]} == set(hook_config.RULES)
    assert {"gradients", "weights", "dead_relu", "losses"} <= set(told["collections"])
    text = (job.reports / "debug.html").read_text()
    assert text.count("<svg") == 2
    assert not re.search(r"""(href|src)=|<script|<link""", foreign_markup(text))
    assert profile(job)["steps"] == 12
    assert profile(job)["step_milliseconds"]["backward"] > 0


def test_the_jobs_own_hook_configuration_is_honoured(job: Job, tmp_path: Path) -> None:
    often = {"train.save_interval": "4", "eval.save_interval": "2", "predict.save_interval": "3"}
    losses = {"CollectionName": "losses", "CollectionParameters": often}
    configure(job, tmp_path / "tensors", losses)
    assert_done(job, job.run())
    saved = SavedTensors(tmp_path / "tensors")
    assert saved.steps(ModeKeys.TRAIN) == [0, 4, 8, 12, 16]
    assert saved.steps(ModeKeys.EVAL) == [0, 2]
    assert saved.steps(ModeKeys.PREDICT) == [0]
    assert state(job, "VanishingGradient") == NOT_APPLICABLE
    assert "DebugHookConfig" in debug(job)["why"]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_full_disk_in_the_tensor_folder_does_not_stop_training(
    job: Job, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "000000000002"
    events = tmp_path / "tensors" / "events" / name
    events.mkdir(parents=True)
    (events / f"{name}_worker_0.tfevents.tmp").symlink_to("/dev/full")
    losses = {"CollectionName": "losses", "CollectionParameters": {"save_interval": "2"}}
    configure(job, tmp_path / "tensors", losses)
    assert_done(job, job.run())
    assert debug(job)["state"] == "failed"
    assert "No space left on device" in debug(job)["why"]
    assert "No space left on device" in (job.reports / "debug.html").read_text()
    assert "debugger failed, training continues without it" in capsys.readouterr().out


def test_a_hook_that_cannot_be_made_does_not_stop_training(job: Job, tmp_path: Path) -> None:
    wrong = {"CollectionName": "gradients", "CollectionParameters": {"reductions": "sixth"}}
    configure(job, tmp_path / "tensors", wrong)
    assert_done(job, job.run(profile_steps="0"))
    told = debug(job)
    assert told["state"] == "failed"
    assert "reductions can only be one of" in told["why"]
    assert {each["state"] for each in told["verdicts"]} == {NOT_APPLICABLE}
    assert profile(job)["state"] == "off"


def test_nobody_watches_where_that_is_asked(job: Job) -> None:
    assert_done(job, job.run(debug="off", epochs="1"))
    assert debug(job)["state"] == "off"
    assert not (job.root / "output" / hook_config.TENSORS_FOLDER).exists()


def test_a_rule_may_end_a_job_which_keeps_what_it_has_learnt(
    job: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    status = job.run(epochs="9", lr="1e-8", stop_on="Overfit,LossNotDecreasing")
    assert_done(job, status)
    assert state(job, "LossNotDecreasing") == ISSUE
    assert len(json.loads((job.reports / "report.json").read_text())["curves"]) == 3
    assert "LossNotDecreasing ends training (--stop-on)" in capsys.readouterr().out


SMALL = {"unfreeze": "all", "image_size": "32"}
SECONDS = 120


@contextmanager
def hanging(job: Job, log: Path, **told: str) -> "Iterator[Hanging]":
    """A job one of whose images does not come, until it is let go (or after 45 s).

    As on a file server that is slow to give back its lease: whoever opens the file waits for it.
    """
    process = job.start(log, **SMALL, **told)
    asked = signal.signal(signal.SIGIO, signal.SIG_IGN)  # tells us that the file is wanted
    try:
        until(lambda: "step=1 " in log.read_text(), process, log)
        assert not (job.reports / "debug.html").exists()
        held = job.root / "held.png"
        held.write_bytes(image(job).read_bytes())
        with held.open("r+b") as lease:
            fcntl.fcntl(lease, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            held.replace(image(job))
            yield Hanging(process, lease)
    finally:
        process.kill()
        process.wait()
        signal.signal(signal.SIGIO, asked)


@dataclass(frozen=True)
class Hanging:
    process: "subprocess.Popen[bytes]"
    lease: IO[bytes]

    def terminate(self) -> None:
        fcntl.fcntl(self.lease, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def image(job: Job) -> Path:
    return job.channel / "train" / "red" / "0.png"


def until(done: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + SECONDS
    while not done():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


@pytest.mark.slow
def test_a_loader_that_hangs_is_named_while_it_hangs(job: Job, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with hanging(job, log, epochs="10", stall_seconds="2") as held:
        process = held.process
        until(lambda: (job.reports / "debug.html").exists(), process, log)
        assert state(job, "StalledTrainingRule") == ISSUE
        assert re.search(r"StalledTrainingRule: No batch for \d+ s", log.read_text())
        assert process.poll() is None
        held.terminate()
        assert process.wait(SECONDS) == 0, log.read_text()
    assert_done(job, 0)
    assert state(job, "StalledTrainingRule") == ISSUE


@pytest.mark.slow
def test_a_job_that_hangs_may_be_ended_by_its_rule(job: Job, tmp_path: Path) -> None:
    stalled = {"stall_seconds": "2", "stop_on": "StalledTrainingRule"}
    with hanging(job, tmp_path / "log", epochs="10", **stalled) as held:
        assert held.process.wait(SECONDS) == 1
    assert re.match(r"StalledTrainingRule: No batch for \d+ s", job.failure)
    assert state(job, "StalledTrainingRule") == ISSUE


def test_a_run_that_breaks_still_leaves_its_debug_report(job: Job) -> None:
    told = {"unfreeze": "all", "optimizer": "sgd", "clip": "0", "lr": "1000000", "backbone_lr": "1"}
    status = job.run(**told, image_size="32", debug_interval="8")
    assert status == 1
    assert "The loss became nan" in job.failure
    assert state(job, "ExplodingTensor") == ISSUE


def test_names_from_outside_are_text_and_never_markup(tmp_path: Path) -> None:
    evil = report.RuleResult("<script>", ISSUE, "<b>", 3, ("<i>",), "<img src=x>")
    told = report.DebugSummary("on", "<u>", ("<s>",), (evil,), looks=1)
    report.write(tmp_path, told, "Job <script>, written today.")
    text = (tmp_path / "debug.html").read_text()
    for tag in ("<script", "<b></b>", "<img", "<u>", "<s>"):
        assert tag not in foreign_markup(text)
    assert "&lt;script&gt;" in text
