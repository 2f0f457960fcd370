"""Watches a search: a live table of its trials, and their logs in files."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from rich.live import Live
from rich.table import Table

from training.config import metrics, trials
from training.config.search_space import Space, Values
from training.config.train_config import TrainConfig
from training.config.trials import EpochMetrics, Trial
from training.launch.watching.watch import FINAL_STATES, LAST_LOOKS, JobLogReader, Watch

LOG_FILE = "log.txt"
HEAD_EPOCH_LINE = re.compile(r"(\d+):epoch=")
"""The start of the line that ends a trial's epoch in a search within one job."""


@dataclass(frozen=True, slots=True)
class SearchProgress:
    trials: list[Trial]
    is_over: bool = False
    reason: str = ""
    """Why the search did not complete."""

    @classmethod
    def from_description(
        cls, job: Mapping[str, Any], status: str, trials: list[Trial]
    ) -> "SearchProgress":
        """`job`: the reply of Describe."""
        if status not in FINAL_STATES:
            return cls(trials)
        stopped = "" if status == "Completed" else "It was stopped before it completed."
        return cls(trials, is_over=True, reason=job.get("FailureReason", stopped))


class Search(Protocol):
    def poll(self) -> SearchProgress:
        """The current state."""


def watch_search(search: Search, config: TrainConfig, space: Space, watch: Watch) -> SearchProgress:
    """Draws the table until the search ends, then removes it."""
    with Live(console=watch.console, auto_refresh=False, transient=True) as live:
        while True:
            progress = search.poll()
            live.update(table(progress.trials, config, space), refresh=True)
            if progress.is_over:
                return progress
            watch.pause()


def table(every: Sequence[Trial], config: TrainConfig, space: Space) -> Table:
    """The best trial so far is bold."""
    drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for title in ("trial", *space, "state", "epoch", config.objective):
        drawn.add_column(title, justify="left" if title in ("trial", "state") else "right")
    best = trials.best(every, config.objective)
    for number, trial in enumerate(every, 1):
        epochs = len(trial.curves)
        shown = trial.score
        if shown is None and trial.curves:
            shown = trial.curves[-1].get(config.objective)
        drawn.add_row(
            str(number),
            *(trials.shorten(trial.values.get(name, "")) for name in space),
            trial.state,
            f"{epochs}/{trial.values.get('epochs', config.epochs)}",
            "" if shown is None else f"{shown:.4f}",
            style="bold green" if trial is best else None,
        )
    return drawn


@dataclass
class TrialLog:
    """The log of a training job so far, appended to a file."""

    log: JobLogReader
    path: Path
    curves: list[EpochMetrics] = field(default_factory=list)

    def read_new(self) -> list[str]:
        lines = self.log.read_new()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as file:
            file.writelines(f"{line}\n" for line in lines)
        self.curves += (
            values for line in lines if "validation_loss" in (values := _parse_metrics(line))
        )
        return lines


def _parse_metrics(line: str) -> Mapping[str, float]:
    return metrics.parse(line)


@dataclass
class TuningJob:
    watch: Watch
    name: str
    folder: Path
    _logs: dict[str, TrialLog] = field(default_factory=dict)
    _read_after_end: set[str] = field(default_factory=set)
    """Trials whose log was read after they ended."""

    def poll(self) -> SearchProgress:
        """Holds the metrics of each trial, at most 750 trials, whatever the number of images."""
        patience, sagemaker = self.watch.patience, self.watch.sagemaker
        job: Mapping[str, Any] = patience.call(
            lambda: sagemaker.describe_hyper_parameter_tuning_job(
                HyperParameterTuningJobName=self.name
            )
        )
        status = job["HyperParameterTuningJobStatus"]
        every = patience.call(self._list_trials)
        for summary in every:
            self._read_log(summary, status in FINAL_STATES)
        if status in FINAL_STATES:
            self._read_rest()
        return SearchProgress.from_description(job, status, [*map(self._trial, every)])

    def _list_trials(self) -> list[Mapping[str, Any]]:
        pages = self.watch.sagemaker.get_paginator(
            "list_training_jobs_for_hyper_parameter_tuning_job"
        )
        order = {"SortBy": "Name", "SortOrder": "Ascending"}
        return [
            summary
            for page in pages.paginate(HyperParameterTuningJobName=self.name, **order)  # type: ignore[arg-type]
            for summary in page["TrainingJobSummaries"]
        ]

    def _read_log(self, summary: Mapping[str, Any], is_last_look: bool) -> None:
        """A log may arrive after its trial ended: every log is read once more at the end."""
        name, state = summary["TrainingJobName"], summary["TrainingJobStatus"]
        if name not in self._logs:
            log = JobLogReader(self.watch.logs, name)
            self._logs[name] = TrialLog(log, self.folder / name / LOG_FILE)
        if is_last_look or name not in self._read_after_end:
            self._logs[name].read_new()
        if state in FINAL_STATES and not self._logs[name].log.is_behind:
            self._read_after_end.add(name)

    def _read_rest(self) -> None:
        """What the last looks did not reach."""
        for _ in range(LAST_LOOKS):
            behind = [log for log in self._logs.values() if log.log.is_behind]
            if not behind:
                return
            self.watch.pause()
            for log in behind:
                log.read_new()

    def _trial(self, summary: Mapping[str, Any]) -> Trial:
        name, state = summary["TrainingJobName"], summary["TrainingJobStatus"]
        metric = summary.get("FinalHyperParameterTuningJobObjectiveMetric")
        return Trial(
            name,
            summary["TunedHyperParameters"],
            state if state in FINAL_STATES else "InProgress",
            metric["Value"] if metric else None,
            tuple(self._logs[name].curves),
            summary.get("FailureReason", ""),
        )


@dataclass
class InProcessSearch:
    watch: Watch
    name: str
    points: Sequence[Values]
    folder: Path
    _log: TrialLog = field(init=False)
    _curves: dict[str, list[EpochMetrics]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._log = TrialLog(JobLogReader(self.watch.logs, self.name), self.folder / LOG_FILE)

    def poll(self) -> SearchProgress:
        job: Mapping[str, Any] = self.watch.patience.call(
            lambda: self.watch.sagemaker.describe_training_job(TrainingJobName=self.name)
        )
        self._record_lines(self._log.read_new())
        every = [self._trial(str(number), values) for number, values in enumerate(self.points, 1)]
        return SearchProgress.from_description(job, job["TrainingJobStatus"], every)

    def _record_lines(self, lines: Iterable[str]) -> None:
        for line in lines:
            head = HEAD_EPOCH_LINE.match(line)
            if head is not None:
                number = head[1]
                values = {
                    name.partition(":")[2]: value for name, value in _parse_metrics(line).items()
                }
                self._curves.setdefault(number, []).append(values)

    def _trial(self, number: str, values: Values) -> Trial:
        """Its final state is in the job's report."""
        return Trial(number, values, "InProgress", None, tuple(self._curves.get(number, ())))
