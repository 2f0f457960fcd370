"""Watches a training job: its state, a progress bar of epochs, its log."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from aws.errors import is_missing, is_transient
from domain.errors import SortboxError
from domain.foreign import visible
from infra import interrupt
from infra.stage import Stage
from training.launch.watching.lines import LogLines
from training.launch.watching.patience import Patience

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient
    from types_boto3_sagemaker import SageMakerClient

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
POLL_SECONDS = 10.0
"""Between two looks at a job on AWS, where Describe requests are throttled."""

LOCAL_POLL_SECONDS = 1.0

DOING_CHARACTERS = 40
"""Of what the job does, beside the progress bar."""

LAST_LOOKS = 5
"""At the log of a job that has ended, while its reading fails."""

FINAL_STATES = frozenset({"Completed", "Failed", "Stopped"})


class StillRunning(SortboxError):
    """Nobody watches the job any more, and it continues."""


@contextmanager
def still_running(what: str) -> Iterator[None]:
    """Whatever ends the watching says what goes on; after it, whoever watches says what is left.

    Raises StillRunning.
    """
    interrupt.leaves("job", what)
    try:
        yield
    except (ClientError, BotoCoreError) as error:
        raise StillRunning(f"Watching failed: {error}; {what}") from error


def goes_on(name: str, stage: Stage, attach: str) -> str:
    """What is said of a job or a search that goes on unwatched."""
    return (
        f"{name} goes on, in stage {stage.name}. Watch it: the same command, or `{attach}`. "
        f"Stop it: `./sortbox stop {name} --stage {stage.name}`."
    )


@dataclass(frozen=True, slots=True)
class Watch:
    """Who watches, and how."""

    sagemaker: "SageMakerClient"
    logs: "CloudWatchLogsClient"
    console: Console
    poll_seconds: float = POLL_SECONDS
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    @property
    def patience(self) -> Patience:
        return Patience(self.say, self.sleep, self.clock)

    def say(self, sentence: str) -> None:
        self.console.print(visible(sentence), markup=False, highlight=False, soft_wrap=True)

    def pause(self) -> None:
        self.sleep(self.poll_seconds)


@dataclass
class JobLogReader:
    """The log of a job, read incrementally, in all of its streams: a spot job that starts again
    writes into a new one.
    """

    client: "CloudWatchLogsClient"
    job: str
    problem: str = ""
    """Why the log cannot be read; the job is watched without it."""
    is_behind: bool = False
    """The last look was cut short by something that passes."""
    _tokens: dict[str, str] = field(default_factory=dict)
    _lines: list[str] = field(default_factory=list)

    def read_new(self) -> list[str]:
        """A request that fails ends this look: the next one goes on from the same line."""
        try:
            for stream in [] if self.problem else self._list_streams():
                self._read_stream(stream)
            self.is_behind = False
        except (ClientError, BotoCoreError) as error:
            self.is_behind = is_transient(error)
            is_early = isinstance(error, ClientError) and is_missing(error)
            if not self.is_behind and not is_early:  # before the first line there is no group
                self.problem = str(error)
        lines, self._lines = self._lines, []
        return lines

    def read_rest(self, watch: Watch) -> list[str]:
        """Of a job that has ended."""
        lines = self.read_new()
        for _ in range(LAST_LOOKS):
            if not self.is_behind:
                break
            watch.pause()
            lines += self.read_new()
        return lines

    def _list_streams(self) -> list[str]:
        pages = self.client.get_paginator("describe_log_streams").paginate(
            logGroupName=LOG_GROUP, logStreamNamePrefix=f"{self.job}/"
        )
        return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]

    def _read_stream(self, stream: str) -> None:
        """To its end, which is where the token stays the same: a page may be empty before."""
        while True:
            token: Any = {"nextToken": self._tokens[stream]} if stream in self._tokens else {}
            page = self.client.get_log_events(
                logGroupName=LOG_GROUP, logStreamName=stream, startFromHead=True, **token
            )
            self._lines += (event["message"] for event in page["events"])
            before = self._tokens.get(stream)
            self._tokens[stream] = page["nextForwardToken"]
            if page["nextForwardToken"] == before:
                return


def watch_job(watch: Watch, job: str, epochs: int) -> Mapping[str, Any]:
    """Returns Describe's reply when the job has ended."""
    log, patience = JobLogReader(watch.logs, job), watch.patience
    state = problem = ""
    lines = LogLines(epochs)
    columns = TextColumn("{task.fields[doing]}"), BarColumn(), MofNCompleteColumn()
    with Progress(*columns, TimeElapsedColumn(), console=watch.console) as progress:
        bar = progress.add_task("epochs", total=epochs, doing=lines.doing)
        while True:
            description = patience.call(
                lambda: watch.sagemaker.describe_training_job(TrainingJobName=job)
            )
            if description["SecondaryStatus"] != state:
                state = description["SecondaryStatus"]
                watch.say(f"{state}: {_message(description)}")
            has_ended = description["TrainingJobStatus"] in FINAL_STATES
            for line in log.read_rest(watch) if has_ended else log.read_new():
                for shown in lines.read(line):
                    watch.say(shown)
            is_done = description["TrainingJobStatus"] == "Completed"
            completed = epochs if is_done else lines.epoch
            does = state if has_ended else lines.doing
            doing = visible(shorten(does, DOING_CHARACTERS, placeholder=" …"))
            progress.update(bar, completed=completed, doing=doing)
            if log.problem != problem:
                problem = log.problem
                watch.say(f"The log cannot be read: {problem}. The job is watched without it.")
            if has_ended:
                return description
            watch.pause()


def wait_until_ended(watch: Watch, job: str) -> None:
    while True:
        description: Mapping[str, Any] = watch.patience.call(
            lambda: watch.sagemaker.describe_training_job(TrainingJobName=job)
        )
        if description["TrainingJobStatus"] in FINAL_STATES:
            return
        watch.pause()


def _message(description: Mapping[str, Any]) -> str:
    changes = description.get("SecondaryStatusTransitions", [])
    return str(changes[-1].get("StatusMessage", "")) if changes else ""
