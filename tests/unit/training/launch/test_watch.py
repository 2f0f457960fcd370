"""A job is watched to its end whatever AWS does meanwhile, and what runs on is said."""

import dataclasses
import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from rich.console import Console

from infra import interrupt
from infra.stage import Stage
from training.config import search_space
from training.config.errors import TrainingFailed
from training.config.hyperparameter import Continuous
from training.config.train_config import TrainConfig
from training.launch import job, tune
from training.launch.watching.patience import GIVE_UP_SECONDS, LONGEST_SECONDS, Patience
from training.launch.watching.tune_watch import TuningJob, watch_search
from training.launch.watching.watch import (
    JobLogReader,
    StillRunning,
    Watch,
    goes_on,
    still_running,
    watch_job,
)

URL = "https://api.sagemaker.eu-west-1.amazonaws.com"


def refused(code: str, operation: str = "DescribeTrainingJob", status: int = 400) -> ClientError:
    about = {"HTTPStatusCode": status}
    return ClientError(
        {"Error": {"Code": code, "Message": "Rate exceeded"}, "ResponseMetadata": about},  # type: ignore[typeddict-item]
        operation,
    )


HICCUPS = [
    refused("ThrottlingException"),
    refused("InternalFailure", status=500),
    refused("ServiceUnavailable", status=503),
    refused("RequestTimeout"),
    EndpointConnectionError(endpoint_url=URL),
    ReadTimeoutError(endpoint_url=URL),
    ConnectionClosedError(endpoint_url=URL),
]


class Time:
    """Passes by sleeping only."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class SageMaker:
    """A training job that goes through `states`, and answers `errors` first."""

    def __init__(self, *states: str, errors: list[Exception] | None = None) -> None:
        self.states = list(states)
        self.errors = errors or []
        self.calls = 0

    def describe_training_job(self, TrainingJobName: str) -> dict[str, Any]:
        self.calls += 1
        if self.errors:
            raise self.errors.pop()
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return {
            "TrainingJobName": TrainingJobName,
            "TrainingJobStatus": state,
            "SecondaryStatus": state,
            "HyperParameters": {"epochs": "3"},
        }


class Logs:
    """Streams of a job, a line a page; GetLogEvents ends where the token stays the same."""

    def __init__(self, **streams: list[str]) -> None:
        self.streams = streams
        self.errors: list[Exception] = []
        self.fails_at = 0
        self.pages = 0

    def get_paginator(self, operation: str) -> "Logs":
        assert operation == "describe_log_streams"
        return self

    def paginate(self, logGroupName: str, logStreamNamePrefix: str) -> Iterator[dict[str, Any]]:
        assert logStreamNamePrefix == "job/"
        for name in self.streams:
            yield {"logStreams": [{"logStreamName": f"job/{name}"}]}

    def get_log_events(self, *, logStreamName: str, nextToken: str = "0", **_: Any) -> Any:
        self.pages += 1
        if self.errors and self.pages >= self.fails_at:
            raise self.errors.pop()
        lines, at = self.streams[logStreamName.partition("/")[2]], int(nextToken)
        events = [{"message": line} for line in lines[at : at + 1] if line]
        return {"events": events, "nextForwardToken": str(min(at + 1, len(lines)))}


def watch(sagemaker: SageMaker, logs: Logs, time: Time) -> tuple[Watch, io.StringIO]:
    text = io.StringIO()
    console = Console(file=text, width=300)
    clients: dict[str, Any] = {"sagemaker": sagemaker, "logs": logs}
    return Watch(**clients, console=console, sleep=time.sleep, clock=lambda: time.now), text


@pytest.mark.parametrize("hiccup", HICCUPS, ids=lambda error: type(error).__name__)
def test_what_passes_by_itself_is_waited_out_and_said_once(hiccup: Exception) -> None:
    time = Time()
    sagemaker = SageMaker("InProgress", "Completed", errors=[hiccup] * 5)
    seen, text = watch(sagemaker, Logs(), time)
    assert watch_job(seen, "job", 3)["TrainingJobStatus"] == "Completed"
    assert text.getvalue().count("jobs go on meanwhile") == 1
    assert text.getvalue().count("AWS answers again") == 1
    assert all(seconds <= LONGEST_SECONDS for seconds in time.slept)


def test_the_wait_ends_after_some_minutes_with_the_error() -> None:
    time = Time()
    seen, _ = watch(SageMaker("InProgress", errors=[HICCUPS[0]] * 1000), Logs(), time)
    with pytest.raises(ClientError, match="Throttling"):
        watch_job(seen, "job", 3)
    assert GIVE_UP_SECONDS <= time.now <= GIVE_UP_SECONDS + LONGEST_SECONDS


def test_those_who_wait_at_once_do_not_ask_again_at_once() -> None:
    waits = set[tuple[float, ...]]()
    for _ in range(3):
        time, errors = Time(), [HICCUPS[0]] * 4
        patience = Patience(lambda sentence: None, time.sleep, lambda: 0.0)
        patience.call(partial(_raise, errors))
        waits.add(tuple(time.slept))
    assert len(waits) == 3


def test_a_new_hiccup_has_all_the_time_again() -> None:
    time, said = Time(), list[str]()
    patience = Patience(said.append, time.sleep, lambda: time.now)
    for _ in range(100):
        errors: list[Exception] = [HICCUPS[0]] * 6
        patience.call(partial(_raise, errors))
    assert time.now > GIVE_UP_SECONDS


def _raise(errors: list[Exception]) -> None:
    if errors:
        raise errors.pop()


@pytest.mark.parametrize("code", ["AccessDeniedException", "ExpiredTokenException"])
def test_what_does_not_pass_is_not_waited_for(code: str) -> None:
    time = Time()
    seen, _ = watch(SageMaker("InProgress", errors=[refused(code)]), Logs(), time)
    with pytest.raises(ClientError, match=code):
        watch_job(seen, "job", 3)
    assert time.now == 0


def test_all_streams_are_read_also_that_of_a_spot_job_that_starts_again() -> None:
    logs = Logs(first=["one", "", "two"])
    client: Any = logs
    log = JobLogReader(client, "job")
    assert log.read_new() == ["one", "two"], "an empty page is not the end of a stream"
    logs.streams["second"] = ["three"]
    assert log.read_new() == ["three"]
    logs.streams["first"].append("late")
    assert log.read_new() == ["late"]
    assert log.read_new() == []


def test_no_line_is_lost_or_repeated_by_a_call_that_fails() -> None:
    logs = Logs(first=["one", "two", "three"])
    client: Any = logs
    log = JobLogReader(client, "job")
    logs.errors, logs.fails_at = [HICCUPS[0]], 3
    assert log.read_new() == ["one", "two"]
    assert log.is_behind
    assert log.read_new() == ["three"]
    assert not log.is_behind


def test_a_log_that_may_not_be_read_does_not_end_the_watch() -> None:
    logs = Logs(first=["one"])
    logs.errors = [refused("AccessDeniedException", "GetLogEvents")]
    seen, text = watch(SageMaker("InProgress", "InProgress", "Completed"), logs, Time())
    assert watch_job(seen, "job", 3)["TrainingJobStatus"] == "Completed"
    assert text.getvalue().count("The log cannot be read") == 1


def test_the_last_lines_are_read_although_the_log_failed_when_the_job_ended() -> None:
    logs = Logs(first=["one", "two"])
    logs.errors, logs.fails_at = [HICCUPS[0]], 2
    seen, text = watch(SageMaker("Completed"), logs, Time())
    watch_job(seen, "job", 3)
    assert "two" in text.getvalue()


class Search(SageMaker):
    """A tuning job of two trials."""

    def describe_hyper_parameter_tuning_job(
        self, HyperParameterTuningJobName: str
    ) -> dict[str, Any]:
        described = self.describe_training_job(HyperParameterTuningJobName)
        return {"HyperParameterTuningJobStatus": described["TrainingJobStatus"]}

    def get_paginator(self, operation: str) -> "Search":
        return self

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        self.calls += 1
        if self.calls % 3 == 0:
            raise HICCUPS[0]
        score = {"MetricName": "validation_accuracy", "Value": 0.9}
        yield {
            "TrainingJobSummaries": [
                {
                    "TrainingJobName": "job",
                    "TrainingJobStatus": "Completed",
                    "TunedHyperParameters": {"lr": "0.1"},
                    "FinalHyperParameterTuningJobObjectiveMetric": score,
                }
            ]
        }


def test_a_search_is_watched_to_its_end_through_hiccups(tmp_path: Path) -> None:
    states = ["InProgress"] * 6 + ["Completed"]
    sagemaker = Search(*states, errors=list(HICCUPS))
    seen, _ = watch(sagemaker, Logs(first=["epoch=1"]), Time())
    space: search_space.Space = {"lr": Continuous(0.001, 0.1, "Logarithmic")}
    end = watch_search(TuningJob(seen, "job", tmp_path), TrainConfig(), space, seen)
    assert end.is_over
    assert [trial.score for trial in end.trials] == [0.9]


@pytest.mark.parametrize(
    "errors",
    [
        [refused("ThrottlingException", "CreateTrainingJob")] * 4,
        [refused("ResourceLimitExceeded", "CreateTrainingJob")],
    ],
    ids=["throttled", "the trials' machines still count"],
)
def test_the_final_fit_is_started_although_aws_refuses_it_at_first(errors: list[Exception]) -> None:
    time, started = Time(), list[str]()

    def start() -> str:
        _raise(errors)
        started.append("job")
        return "job"

    patience = Patience(lambda sentence: None, time.sleep, lambda: time.now)
    assert tune.start_final_fit(start, patience) == "job"
    assert started == ["job"]


@pytest.mark.parametrize(
    "error",
    [
        refused("ThrottlingException", "DescribeTrainingJob"),
        ReadTimeoutError(endpoint_url=URL),
        refused("ValidationException", "CreateTrainingJob"),
    ],
)
def test_a_final_fit_that_may_have_started_is_not_started_twice(error: Exception) -> None:
    """Its name has the time in it: a second request would be a second job."""
    starts = 0

    def start() -> str:
        nonlocal starts
        starts += 1
        raise error

    patience = Patience(lambda sentence: None, Time().sleep, lambda: 0.0)
    with pytest.raises(type(error)):
        tune.start_final_fit(start, patience)
    assert starts == 1


class Session:
    """An account whose S3 has no reports."""

    def __init__(self, sagemaker: SageMaker) -> None:
        self.clients = {"sagemaker": sagemaker, "logs": Logs(first=["epoch=1"]), "s3": self}

    def client(self, name: str) -> object:
        return self.clients[name]

    def download_file(self, bucket: str, key: str, path: str) -> None:
        raise refused("404", "HeadObject", 404)


class Deployed(Stage):
    bucket = property(lambda self: "bucket")


def test_a_job_that_somebody_started_before_is_watched_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    request = dataclasses.replace(
        job.job_request(Deployed("dev"), "", "photos", {}), poll_seconds=0.0
    )
    session: Any = Session(SageMaker("InProgress", "InProgress", "Stopped"))
    console = Console(file=io.StringIO(), width=300)
    assert not job.follow(request, "job", session, console)
    assert isinstance(console.file, io.StringIO)
    assert "job: Stopped." in console.file.getvalue()
    missing: Any = Session(SageMaker("InProgress", errors=[refused("ResourceNotFound")]))
    with pytest.raises(TrainingFailed, match="There is no training job sortbox-dev-x here"):
        job.follow(request, "sortbox-dev-x", missing, console)


GOES_ON = goes_on("job", Stage("dev"), "./sortbox train photos --stage dev --attach job")


def test_what_goes_on_is_said_with_how_to_watch_and_to_stop_it() -> None:
    assert "job goes on, in stage dev." in GOES_ON
    assert "./sortbox train photos --stage dev --attach job" in GOES_ON
    assert "./sortbox stop job --stage dev" in GOES_ON


@pytest.mark.usefixtures("nothing_left")
def test_an_interrupted_watch_leaves_the_job() -> None:
    with pytest.raises(KeyboardInterrupt), still_running(GOES_ON):
        raise KeyboardInterrupt
    assert interrupt.sentence() == f"Interrupted. {GOES_ON}"


@pytest.mark.usefixtures("nothing_left")
def test_a_watch_that_fails_says_what_goes_on() -> None:
    with pytest.raises(StillRunning, match="ExpiredToken") as ended, still_running(GOES_ON):
        raise refused("ExpiredTokenException")
    assert GOES_ON in str(ended.value)
    assert ended.value.exit_code == 1
