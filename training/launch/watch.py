"""A training job as it goes: its state, its epochs as a bar, its words."""

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

GROUP = "/aws/sagemaker/TrainingJobs"
LOOK_SECONDS = 1.0
OVER = frozenset({"Completed", "Failed", "Stopped"})


@dataclass
class Log:
    """What a job has said since the last look."""

    client: "CloudWatchLogsClient"
    job: str
    _stream: str | None = None
    _token: str | None = None

    def more(self) -> Iterator[str]:
        try:
            yield from self._more()
        except ClientError as error:
            if not is_missing(error):
                raise  # before the job's first word there is no stream, and perhaps no group

    def _more(self) -> Iterator[str]:
        if self._stream is None:
            found = self.client.describe_log_streams(
                logGroupName=GROUP, logStreamNamePrefix=f"{self.job}/"
            )["logStreams"]
            if not found:
                return
            self._stream = found[0]["logStreamName"]
        while True:
            token: Any = {"nextToken": self._token} if self._token else {}
            page = self.client.get_log_events(
                logGroupName=GROUP, logStreamName=self._stream, startFromHead=True, **token
            )
            yield from (event["message"] for event in page["events"])
            if page["nextForwardToken"] == self._token or not page["events"]:
                self._token = page["nextForwardToken"]
                return
            self._token = page["nextForwardToken"]


def watched(
    sagemaker: "SageMakerClient",
    logs: "CloudWatchLogsClient",
    job: str,
    epochs: int,
    console: Console,
) -> Mapping[str, Any]:
    """What Describe says when the job is over."""
    log = Log(logs, job)
    state = ""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
        bar = progress.add_task("epochs", total=epochs)
        while True:
            seen = sagemaker.describe_training_job(TrainingJobName=job)
            if seen["SecondaryStatus"] != state:
                state = seen["SecondaryStatus"]
                progress.console.print(visible(f"{state}: {_message(seen)}"), markup=False)
            for line in log.more():
                epoch = _epoch(line)
                if epoch is not None:
                    progress.update(bar, completed=epoch)
                if _is_worth_a_line(line):
                    progress.console.print(visible(f"  {line}"), markup=False, highlight=False)
            if seen["TrainingJobStatus"] in OVER:
                return seen
            time.sleep(LOOK_SECONDS)


def _message(seen: Mapping[str, Any]) -> str:
    changes = seen.get("SecondaryStatusTransitions", [])
    return str(changes[-1].get("StatusMessage", "")) if changes else ""


def _epoch(line: str) -> float | None:
    """Of the line that ends one."""
    found = metrics.parse(line)
    return found.get("epoch") if "validation_loss" in found else None


def _is_worth_a_line(line: str) -> bool:
    """A step's line moves the log, not the terminal."""
    return not re.search(r"(^| )step=", line)
