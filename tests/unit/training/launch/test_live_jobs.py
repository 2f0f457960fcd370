"""The same command finds the job that it started, and of two at once one starts it."""

import io
from dataclasses import dataclass, replace
from typing import Any

import pytest
from rich.console import Console

from infra.stage import Stage
from tests.support.fakes.training import FakeJobs
from training.config.errors import TrainingFailed
from training.launch import job as launch
from training.launch import tune
from training.launch.input_channels import Channels
from training.launch.live_jobs import Job, jobs_of, start_next, stop

STEM = "sortbox-dev-dogs-0123456789"


def listed(jobs: FakeJobs) -> list[Job]:
    sagemaker: Any = jobs
    return jobs_of(sagemaker, "training job", STEM)


def test_the_jobs_of_a_run_are_found_by_their_names_in_the_order_of_their_numbers() -> None:
    names = [f"{STEM}-10", f"{STEM}-9", f"{STEM}-9-other", f"x{STEM}-11", "sortbox-dev-dogs-1"]
    jobs = listed(FakeJobs(training=dict.fromkeys(names, "Stopped")))
    assert [job.name for job in jobs] == [f"{STEM}-9", f"{STEM}-10"]
    said: list[str] = []
    assert start_next(STEM, jobs, FakeJobs().create, said.append) == f"{STEM}-11"
    assert start_next(STEM, [], FakeJobs().create, said.append) == f"{STEM}-1"
    assert said == []


@pytest.mark.parametrize(
    ("status", "is_live"),
    [
        *(("InProgress", True), ("Stopping", True)),
        *(("Completed", False), ("Failed", False), ("Stopped", False)),
    ],
)
def test_a_job_is_live_until_it_has_ended(status: str, is_live: bool) -> None:
    assert Job("job", status).is_live is is_live


def test_of_two_commands_at_once_only_one_starts_the_job() -> None:
    jobs = FakeJobs()

    def another_command() -> None:
        jobs.training["job-1"] = "InProgress"

    jobs.meanwhile = another_command
    said: list[str] = []
    assert start_next("job", [], jobs.create, said.append) == "job-1"
    assert said == ["job-1 was started by another command just now: it is watched."]
    assert jobs.training == {"job-1": "InProgress"}


def test_a_checkpoint_is_promised_only_where_there_is_one() -> None:
    """A job that is stopped while it downloads, or before its first step, has saved none."""
    sagemaker: Any = FakeJobs(training={"job": "InProgress"})
    assert stop(sagemaker, "job").endswith("from its last checkpoint, if it has saved one.")


@pytest.mark.parametrize("kind", ["training", "searches"])
def test_a_job_or_a_search_is_stopped_by_its_name(kind: str) -> None:
    jobs = FakeJobs()
    sagemaker: Any = jobs
    getattr(jobs, kind).update(job="InProgress", done="Completed")
    assert "job stops" in stop(sagemaker, "job")
    assert getattr(jobs, kind)["job"] == "Stopping"
    assert stop(sagemaker, "job") == "job is stopping already."
    with pytest.raises(TrainingFailed, match="done is Completed: there is nothing to stop"):
        stop(sagemaker, "done")
    with pytest.raises(TrainingFailed, match="no job and no search other here"):
        stop(sagemaker, "other")


@dataclass
class Session:
    jobs: FakeJobs

    def client(self, name: str) -> FakeJobs:
        return self.jobs


CHANNELS = Channels({"data": "s3://bucket/data/1/"}, size=1000)


def train_again(jobs: FakeJobs, free_bytes: int = 10**9) -> tuple[str, str]:
    """The job that the same command watches, and what it says."""
    request = launch.job_request(Stage("dev"), "image@sha256:1", "photos", {"lr": "0.1"})
    request = replace(request, free_bytes=lambda: free_bytes)
    session: Any = Session(jobs)
    console = Console(file=io.StringIO(), width=300)
    job = launch.find_or_start(request, session, CHANNELS, console)
    assert isinstance(console.file, io.StringIO)
    return job, console.file.getvalue()


def test_the_same_command_watches_the_job_that_it_started() -> None:
    request = launch.job_request(Stage("dev"), "image@sha256:1", "photos", {"lr": "0.1"})
    stem = launch.stem(request, CHANNELS)
    jobs = FakeJobs(training={f"{stem}-1": "Failed", f"{stem}-2": "InProgress"})
    job, said = train_again(jobs)
    assert job == f"{stem}-2"
    assert "is watched, and no other is started" in said
    assert len(jobs.training) == 2


def test_a_full_disk_refuses_a_new_job_and_not_one_that_runs() -> None:
    request = launch.job_request(Stage("dev"), "image@sha256:1", "photos", {"lr": "0.1"})
    name = f"{launch.stem(request, CHANNELS)}-1"
    jobs = FakeJobs(training={name: "InProgress"})
    assert train_again(jobs, free_bytes=0)[0] == name
    jobs.training[name] = "Stopped"
    with pytest.raises(TrainingFailed, match="Free some space"):
        train_again(jobs, free_bytes=0)


@pytest.mark.parametrize("in_one_job", [True, False])
@pytest.mark.parametrize(
    ("status", "sentence"),
    [("InProgress", "no other is started"), ("Completed", "its final fit follows. --seed 1")],
)
def test_the_same_search_is_not_started_twice(in_one_job: bool, status: str, sentence: str) -> None:
    job = launch.job_request(Stage("dev"), "image@sha256:1", "photos", {})
    options = tune.SearchOptions(in_one_job=in_one_job)
    request = tune.tuning_request(job, {"lr": "0.001:0.1"}, options)
    search_job = tune._with_search(request.trial, request.space)
    stem = launch.stem(search_job, CHANNELS) if in_one_job else tune.search_stem(request, CHANNELS)
    names = {f"{stem}-1": "Stopped", f"{stem}-2": status}
    jobs = FakeJobs(training=names) if in_one_job else FakeJobs(searches=names)
    session: Any = Session(jobs)
    console = Console(file=io.StringIO(), width=300)
    search = tune.find_or_start_search(request, session, CHANNELS, console)
    assert search == f"{stem}-2"
    assert isinstance(console.file, io.StringIO)
    assert sentence in console.file.getvalue()
