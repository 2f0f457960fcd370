"""The jobs of a run: which of them is live, what the next is called, and how one is stopped.

All jobs of a run have the stem of their names in common, and numbers. So the same command finds the
job that it started before, and of two commands that start one at once, SageMaker refuses one: names
are unique. One request lists the jobs of a run, however many jobs there are.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import ClientError

from aws.errors import code_of, is_missing, is_there_already
from infra import interrupt
from training.config.errors import TrainingFailed

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient

Kind = Literal["training job", "search"]

LIVE_STATES = frozenset({"InProgress", "Stopping"})
IN_USE = "ResourceInUse"
"""The code of CreateTrainingJob and CreateHyperParameterTuningJob for a name that exists."""


@dataclass(frozen=True, slots=True)
class Job:
    name: str
    status: str

    @property
    def is_live(self) -> bool:
        return self.status in LIVE_STATES


def jobs_of(sagemaker: "SageMakerClient", kind: Kind, stem: str) -> list[Job]:
    """The jobs of a run, oldest first."""
    numbered = re.compile(rf"{re.escape(stem)}-\d+")
    jobs = (_training_jobs if kind == "training job" else _searches)(sagemaker, f"{stem}-")
    ours = [job for job in jobs if numbered.fullmatch(job.name)]
    return sorted(ours, key=lambda job: _number(job.name))


def _training_jobs(sagemaker: "SageMakerClient", stem: str) -> Iterator[Job]:
    for page in sagemaker.get_paginator("list_training_jobs").paginate(NameContains=stem):
        for job in page["TrainingJobSummaries"]:
            yield Job(job["TrainingJobName"], job["TrainingJobStatus"])


def _searches(sagemaker: "SageMakerClient", stem: str) -> Iterator[Job]:
    pages = sagemaker.get_paginator("list_hyper_parameter_tuning_jobs").paginate(NameContains=stem)
    for page in pages:
        for job in page["HyperParameterTuningJobSummaries"]:
            yield Job(job["HyperParameterTuningJobName"], job["HyperParameterTuningJobStatus"])


def start_next(
    stem: str, jobs: Sequence[Job], start: Callable[[str], object], say: Callable[[str], object]
) -> str:
    """The name of the run's next job, which `start` starts, or which another command just did."""
    name = f"{stem}-{_number(jobs[-1].name) + 1 if jobs else 1}"
    interrupt.leaves("job", f"{name} may have been started; then the same command watches it.")
    try:
        start(name)
    except ClientError as error:
        if code_of(error) != IN_USE and not is_there_already(error):
            raise
        say(f"{name} was started by another command just now: it is watched.")
    return name


def _number(name: str) -> int:
    return int(name.rpartition("-")[2])


def stop(sagemaker: "SageMakerClient", name: str) -> str:
    """Stop a training job or a search; the sentence that says what happens.

    Raises TrainingFailed if there is none of this name, or if it has ended.
    """
    status, is_search = _training_status(sagemaker, name), False
    if status is None:
        status, is_search = search_status(sagemaker, name), True
    if status not in LIVE_STATES:
        raise TrainingFailed(f"{name} is {status}: there is nothing to stop.")
    if status == "Stopping":
        return f"{name} is stopping already."
    if is_search:
        sagemaker.stop_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
        return f"{name} stops, with the trials that run. The same command starts another search."
    sagemaker.stop_training_job(TrainingJobName=name)
    return f"{name} stops. The same command goes on from its last checkpoint, if it has saved one."


def _training_status(sagemaker: "SageMakerClient", name: str) -> str | None:
    try:
        return sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"]
    except ClientError as error:
        if not is_missing(error):
            raise
        return None


def search_status(sagemaker: "SageMakerClient", name: str) -> str:
    """Raises TrainingFailed if there is none of this name."""
    try:
        search = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=name)
    except ClientError as error:
        if not is_missing(error):
            raise
        raise TrainingFailed(f"There is no job and no search {name} here.") from error
    return search["HyperParameterTuningJobStatus"]
