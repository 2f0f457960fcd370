"""The curves of a training job, from the same log lines that `./sortbox train` watches."""

import re
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from training.config import metrics
from training.config.metrics import EPOCH_METRIC_NAMES
from training.launch.watching.lines import LogLines
from training.launch.watching.watch import JobLogReader

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient

REMEMBERED_JOBS = 8
DRAWN_EPOCHS = 500
NUMBER = re.compile(r"[0-9]{1,6}")
HELD_EPOCHS = 10_000
"""`epochs` has that bound; a job that logs more is drawn up to there."""


@dataclass
class JobCurves:
    """What was read of one job's log so far."""

    log: JobLogReader
    lines: LogLines
    epochs: list[dict[str, float]] = field(default_factory=list)

    def read_new(self) -> None:
        for line in self.log.read_new():
            for _ in self.lines.read(line):
                pass  # it keeps the epoch and what the job does
            values = metrics.parse(line)
            if "validation_loss" in values and "epoch" in values:
                row = {name: values[name] for name in EPOCH_METRIC_NAMES if name in values}
                self.epochs.append({"epoch": values["epoch"]} | row)
        del self.epochs[HELD_EPOCHS:]


@dataclass
class CurveReader:
    """Reads the logs of a few jobs, each from where it was read to before.

    A log is read again where more jobs than that are looked at in turn.
    """

    logs: "CloudWatchLogsClient"
    _jobs: "OrderedDict[str, JobCurves]" = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """`job` is Describe's reply. Two requests, and one more for each MB that is new."""
        name = job["TrainingJobName"]
        text = job.get("HyperParameters", {}).get("epochs", "").strip('"')  # of any job
        epochs = int(text) if NUMBER.fullmatch(text) else 0
        with self._lock:
            curves = self._jobs.pop(name, None)
            curves = curves or JobCurves(JobLogReader(self.logs, name), LogLines(epochs))
            curves.read_new()
            self._jobs[name] = curves
            if len(self._jobs) > REMEMBERED_JOBS:
                self._jobs.popitem(last=False)
            stride = max(1, -(-len(curves.epochs) // DRAWN_EPOCHS))
            shown = curves.epochs[::stride]
            if curves.epochs and shown[-1] is not curves.epochs[-1]:
                shown.append(curves.epochs[-1])
            return {
                "epochs": shown,
                "of": epochs,
                "doing": curves.lines.doing,
                "problem": curves.log.problem,
            }
