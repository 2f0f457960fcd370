"""Watches a training job: its state, a progress bar of epochs, its log."""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from aws.errors import is_missing
from domain.foreign import visible
from training.config import metrics

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient
    from types_boto3_sagemaker import SageMakerClient

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
POLL_SECONDS = 1.0
FINAL_STATES = frozenset({"Completed", "Failed", "Stopped"})


@dataclass
class JobLog:
    """The log of a job, read incrementally."""

    client: "CloudWatchLogsClient"
    job: str
    _stream: str | None = None
    _token: str | None = None

    def read_new(self) -> Iterator[str]:
        try:
            yield from self._read_pages()
        except ClientError as error:
            if not is_missing(error):
                raise  # before the first line there is no stream, and perhaps no group

    def _read_pages(self) -> Iterator[str]:
        if self._stream is None:
            streams = self.client.describe_log_streams(
                logGroupName=LOG_GROUP, logStreamNamePrefix=f"{self.job}/"
            )["logStreams"]
            if not streams:
                return
            self._stream = streams[0]["logStreamName"]
        while True:
            token: Any = {"nextToken": self._token} if self._token else {}
            page = self.client.get_log_events(
                logGroupName=LOG_GROUP, logStreamName=self._stream, startFromHead=True, **token
            )
            yield from (event["message"] for event in page["events"])
            if page["nextForwardToken"] == self._token or not page["events"]:
                self._token = page["nextForwardToken"]
                return
            self._token = page["nextForwardToken"]


def watch_job(
    sagemaker: "SageMakerClient",
    logs: "CloudWatchLogsClient",
    job: str,
    epochs: int,
    console: Console,
) -> Mapping[str, Any]:
    """Returns Describe's reply when the job has ended."""
    log = JobLog(logs, job)
    state = ""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        bar = progress.add_task("epochs", total=epochs)
        while True:
            description = sagemaker.describe_training_job(TrainingJobName=job)
            if description["SecondaryStatus"] != state:
                state = description["SecondaryStatus"]
                progress.console.print(visible(f"{state}: {_message(description)}"), markup=False)
            for line in log.read_new():
                epoch = _epoch(line)
                if epoch is not None:
                    progress.update(bar, completed=epoch)
                if _is_worth_a_line(line):
                    progress.console.print(visible(f"  {line}"), markup=False, highlight=False)
            if description["TrainingJobStatus"] in FINAL_STATES:
                return description
            time.sleep(POLL_SECONDS)


def _message(description: Mapping[str, Any]) -> str:
    changes = description.get("SecondaryStatusTransitions", [])
    return str(changes[-1].get("StatusMessage", "")) if changes else ""


def _epoch(line: str) -> float | None:
    """From the line that ends an epoch."""
    values = metrics.parse(line)
    return values.get("epoch") if "validation_loss" in values else None


def _is_worth_a_line(line: str) -> bool:
    """Lines of single steps stay in the log."""
    return not re.search(r"(^| )step=", line)
