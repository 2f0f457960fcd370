"""A search within one job, as its log tells it to whoever watches."""

from pathlib import Path
from typing import Any

from rich.console import Console

from training.config import search_space
from training.config.hyperparameter import Categorical, Continuous
from training.config.train_config import TrainConfig
from training.config.trials import Trial
from training.launch.watching import tune_watch
from training.launch.watching.tune_watch import InProcessSearch
from training.launch.watching.watch import Watch

SPACE: search_space.Space = {
    "lr": Continuous(0.001, 0.1, "Logarithmic"),
    "batch-size": Categorical(("32", "64")),
}
PLACES = search_space.spread_points(SPACE, 2, 0)
LINES = [
    "features of 10 of 10 images",
    "1:epoch=1 1:validation_loss=0.5 1:validation_accuracy=0.7 1:seconds=0.1",
    "2:epoch=1 2:validation_loss=0.4 2:validation_accuracy=0.8 2:seconds=0.1",
    "1:epoch=2 1:validation_loss=0.3 1:validation_accuracy=0.9 1:seconds=0.1",
]


class Logs:
    """A log that has one line more at each look."""

    def __init__(self) -> None:
        self.seen = 0

    def get_paginator(self, operation: str) -> "Logs":
        return self

    def paginate(self, **_: Any) -> Any:
        return iter([{"logStreams": [{"logStreamName": "job/algo-1-1"}]}])

    def get_log_events(self, nextToken: str = "0", **_: Any) -> Any:
        at = int(nextToken)
        lines = LINES[at : self.seen]
        return {
            "events": [{"message": line} for line in lines],
            "nextForwardToken": str(at + len(lines)),
        }


class SageMaker:
    status = "InProgress"

    def describe_training_job(self, **_: Any) -> Any:
        return {"TrainingJobStatus": self.status, "FailureReason": "The disk is full."}


def watched(folder: Path) -> tuple[InProcessSearch, SageMaker, Logs]:
    sagemaker, logs = SageMaker(), Logs()
    clients: dict[str, Any] = {"sagemaker": sagemaker, "logs": logs}
    watch = Watch(**clients, console=Console())
    return InProcessSearch(watch, "job", PLACES, folder), sagemaker, logs


def test_each_trial_has_the_epochs_that_the_log_has_told(tmp_path: Path) -> None:
    job, _, logs = watched(tmp_path)
    assert [len(trial.curves) for trial in job.poll().trials] == [0, 0]
    logs.seen = 3
    assert [len(trial.curves) for trial in job.poll().trials] == [1, 1]
    logs.seen = 4
    first, second = job.poll().trials
    assert [epoch["validation_accuracy"] for epoch in first.curves] == [0.7, 0.9]
    assert second.curves[0]["validation_loss"] == 0.4
    assert first.values == PLACES[0]
    assert (tmp_path / "log.txt").read_text().splitlines() == LINES


def test_a_search_that_failed_says_why(tmp_path: Path) -> None:
    job, sagemaker, _ = watched(tmp_path)
    assert not job.poll().is_over
    sagemaker.status = "Failed"
    seen = job.poll()
    assert (seen.is_over, seen.reason) == (True, "The disk is full.")


def test_the_table_shows_what_is_tried_and_how_far_it_is() -> None:
    epoch = {"epoch": 1.0, "validation_accuracy": 0.8, "validation_loss": 0.4}
    every = [
        Trial("1", {"lr": "0.00123456", "batch-size": "32"}, "InProgress", None, (epoch,)),
        Trial("2", {"lr": "0.1", "batch-size": "64"}, "Completed", 0.91, (epoch, epoch)),
    ]
    console = Console(width=100)
    with console.capture() as drawn:
        console.print(tune_watch.table(every, TrainConfig(epochs=2), SPACE))
    text = drawn.get()
    assert "0.001235" in text
    assert "1/2" in text
    assert "0.9100" in text
