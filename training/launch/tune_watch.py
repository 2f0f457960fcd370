"""A search as it goes: a live table of its trials, and the log of each kept in a file."""

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from rich.console import Console
from rich.live import Live
from rich.table import Table

from training.config import metrics, trials
from training.config.search_space import Space, Values
from training.config.train_config import TrainConfig
from training.config.trials import Curves, Trial
from training.launch.watch import OVER, Log

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient
    from types_boto3_sagemaker import SageMakerClient

LOOK_SECONDS = 1.0
LOG = "log.txt"
OF_A_HEAD = re.compile(r"(\d+):epoch=")
"""How the log of a search within one job begins the line that ends a trial's epoch."""


@dataclass(frozen=True, slots=True)
class Seen:
    trials: list[Trial]
    is_over: bool = False
    reason: str = ""
    """Why the search did not come to its end."""

    @classmethod
    def of(cls, job: Mapping[str, Any], status: str, trials: list[Trial]) -> "Seen":
        """`job`: what Describe says of it."""
        if status not in OVER:
            return cls(trials)
        stopped = "" if status == "Completed" else "It was stopped before its end."
        return cls(trials, is_over=True, reason=job.get("FailureReason", stopped))


class Search(Protocol):
    def look(self) -> Seen:
        """As it is now."""


def watched(search: Search, told: TrainConfig, space: Space, console: Console) -> Seen:
    """Until it is over; what is drawn is gone then."""
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            seen = search.look()
            live.update(table(seen.trials, told, space), refresh=True)
            if seen.is_over:
                return seen
            time.sleep(LOOK_SECONDS)


def table(every: Sequence[Trial], told: TrainConfig, space: Space) -> Table:
    """The best so far in bold."""
    drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("trial", *space, "state", "epoch", told.objective):
        drawn.add_column(title, justify="left" if title in ("trial", "state") else "right")
    best = trials.best(every, told.objective)
    for number, trial in enumerate(every, 1):
        epochs = len(trial.curves)
        shown = trial.score
        if shown is None and trial.curves:
            shown = trial.curves[-1].get(told.objective)
        drawn.add_row(
            str(number),
            *(trials.short(trial.values.get(name, "")) for name in space),
            trial.state,
            f"{epochs}/{trial.values.get('epochs', told.epochs)}",
            "" if shown is None else f"{shown:.4f}",
            style="bold green" if trial is best else None,
        )
    return drawn


@dataclass
class Story:
    """What a training job has said so far, kept in a file as it comes."""

    log: Log
    path: Path
    curves: list[Curves] = field(default_factory=list)

    def more(self) -> list[str]:
        lines = list(self.log.more())
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)
        self.curves += (found for line in lines if "validation_loss" in (found := _numbers(line)))
        return lines


def _numbers(line: str) -> Mapping[str, float]:
    return metrics.parse(line)


@dataclass
class TuningJob:
    sagemaker: "SageMakerClient"
    logs: "CloudWatchLogsClient"
    name: str
    folder: Path
    _stories: dict[str, Story] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)
    """Trials whose log was read after their end."""

    def look(self) -> Seen:
        """A million images or ten: what is held is each trial's curves, at most 750 of them."""
        job: Mapping[str, Any] = self.sagemaker.describe_hyper_parameter_tuning_job(
            HyperParameterTuningJobName=self.name
        )
        status = job["HyperParameterTuningJobStatus"]
        return Seen.of(job, status, [self._trial(each, status in OVER) for each in self._listed()])

    def _listed(self) -> Iterator[Mapping[str, Any]]:
        pages = self.sagemaker.get_paginator("list_training_jobs_for_hyper_parameter_tuning_job")
        asked = {"SortBy": "Name", "SortOrder": "Ascending"}
        for page in pages.paginate(HyperParameterTuningJobName=self.name, **asked):  # type: ignore[arg-type]
            yield from page["TrainingJobSummaries"]

    def _trial(self, found: Mapping[str, Any], is_last_look: bool) -> Trial:
        """A log may come after its trial's end: each is looked at once more in the end."""
        name, state = found["TrainingJobName"], found["TrainingJobStatus"]
        if name not in self._stories:
            self._stories[name] = Story(Log(self.logs, name), self.folder / name / LOG)
        if is_last_look or name not in self._told:
            self._stories[name].more()
        if state in OVER:
            self._told.add(name)
        metric = found.get("FinalHyperParameterTuningJobObjectiveMetric")
        return Trial(
            name,
            found["TunedHyperParameters"],
            state if state in OVER else "InProgress",
            metric["Value"] if metric else None,
            tuple(self._stories[name].curves),
            found.get("FailureReason", ""),
        )


@dataclass
class OneJob:
    sagemaker: "SageMakerClient"
    logs: "CloudWatchLogsClient"
    name: str
    places: Sequence[Values]
    folder: Path
    _story: Story = field(init=False)
    _curves: dict[str, list[Curves]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._story = Story(Log(self.logs, self.name), self.folder / LOG)

    def look(self) -> Seen:
        job: Mapping[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=self.name)
        self._hear(self._story.more())
        every = [self._trial(str(number), values) for number, values in enumerate(self.places, 1)]
        return Seen.of(job, job["TrainingJobStatus"], every)

    def _hear(self, lines: Iterable[str]) -> None:
        for line in lines:
            head = OF_A_HEAD.match(line)
            if head is not None:
                number = head[1]
                found = {name.partition(":")[2]: each for name, each in _numbers(line).items()}
                self._curves.setdefault(number, []).append(found)

    def _trial(self, number: str, values: Values) -> Trial:
        """How it ended is in the job's own report."""
        return Trial(number, values, "InProgress", None, tuple(self._curves.get(number, ())))
