"""A trained model that asks to be active, and the images it is judged on."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from aws.errors import message_of
from domain import keys
from domain.model import parse_json
from training.config.errors import TrainingFailed
from training.config.train_config import TrainConfig
from training.data import dataset as data
from training.evaluation import archive as evaluate
from training.evaluation.archive import TestSet
from training.launch import upload
from training.launch.upload import Tick

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sagemaker import SageMakerClient

TESTS = Path("build/tests")
"""Kept, so that the next promotion on the same data fetches nothing."""


@dataclass(frozen=True, slots=True)
class Candidate:
    archive: Path
    made_by: str
    """A training job's ARN, or the archive's name."""
    data: str
    """A folder, or s3:// of what the job learnt from."""


def latest_job(sagemaker: "SageMakerClient", prefix: str) -> str:
    found = sagemaker.list_training_jobs(
        NameContains=prefix, StatusEquals="Completed", SortBy="CreationTime", MaxResults=100
    )["TrainingJobSummaries"]
    names = [job["TrainingJobName"] for job in found if job["TrainingJobName"].startswith(prefix)]
    if not names:
        raise TrainingFailed(
            "No training job has completed here. Run `./sortbox train DATA` first."
        )
    return names[0]


def of_job(s3: "S3Client", sagemaker: "SageMakerClient", job: str, scratch: Path) -> Candidate:
    """Raises TrainingFailed for a job that made no model."""
    try:
        found: Mapping[str, Any] = sagemaker.describe_training_job(TrainingJobName=job)
    except ClientError as error:
        raise TrainingFailed(f"{job}: {message_of(error)}") from error
    if found["TrainingJobStatus"] != "Completed":
        raise TrainingFailed(f"{job} is {found['TrainingJobStatus']}: it made no model.")
    archive = scratch / "candidate.tar.gz"
    s3.download_file(*upload.split(found["ModelArtifacts"]["S3ModelArtifacts"]), str(archive))
    channels = {
        each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3Uri"]
        for each in found["InputDataConfig"]
    }
    return Candidate(archive, found["TrainingJobArn"], channels["data"])


def tests_of(s3: "S3Client", source: str, provenance: Mapping[str, str], tick: Tick) -> TestSet:
    """The images that the candidate neither learnt from nor was selected by.

    Of data that `./sortbox train` sent, the split it was judged on lies in S3 by itself. Of a
    person's own prefix all is fetched, and the split taken out of it as the job took it.
    """
    if not source.startswith(upload.S3):
        return evaluate.read(Path(source))
    judge = provenance.get("judged_on")
    if judge not in ("test", "validation"):
        raise TrainingFailed("The card does not say whether test or validation judged the model.")
    _, key = upload.split(source)
    folder = TESTS / hashlib.sha256(source.encode()).hexdigest()[:20]
    if key == keys.dataset_prefix(provenance.get("dataset", "")):
        skipped = upload.fetched(s3, f"{source}{judge}/", folder / judge, tick)
        tests = evaluate.read(folder / judge)
        return replace(tests, left_out=skipped + tests.left_out)
    skipped = upload.fetched(s3, source, folder, tick)
    told = _hyperparameters(provenance.get("hyperparameters", ""))
    dataset = data.prepare(folder, told.selects, told.max_unreadable, lambda: None)
    if dataset.fingerprint != provenance.get("dataset"):
        raise TrainingFailed(
            f"{source} is not what the candidate learnt from any more: its test set is lost. Train "
            "again, or give --tests FOLDER."
        )
    left_out = skipped + dataset.left_out
    return TestSet(dataset.root, dataset.labels, dataset.splits[judge], left_out)


def _hyperparameters(text: str) -> TrainConfig:
    """As a stranger's card has them. Raises TrainingFailed."""
    try:
        strings = parse_json(text)
    except ValueError as error:
        raise TrainingFailed(f"The card's hyperparameters cannot be read: {error}") from error
    if not isinstance(strings, dict) or not all(isinstance(v, str) for v in strings.values()):
        raise TrainingFailed("The card's hyperparameters are no texts by name.")
    return TrainConfig.from_strings(strings)
