"""A trained model that is to become active, and the images that evaluate it."""

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
from training.launch.s3_objects import S3, split_uri
from training.launch.upload import OnProgress

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sagemaker import SageMakerClient

TEST_IMAGES = Path("build/tests")
"""Cached for the next promotion on the same data."""


@dataclass(frozen=True, slots=True)
class Candidate:
    archive: Path
    made_by: str
    """A training job's ARN, or the archive's name."""
    data: str
    """A folder, or the s3:// address of the training data."""


def latest_job(sagemaker: "SageMakerClient", prefix: str) -> str:
    """The newest job that completed. Raises TrainingFailed if there is none.

    The order is named: the reference calls Ascending the default. A page may hold no job at all,
    because it is cut before the jobs of other states are taken out of it.
    """
    pages = sagemaker.get_paginator("list_training_jobs").paginate(
        NameContains=prefix,
        StatusEquals="Completed",
        SortBy="CreationTime",
        SortOrder="Descending",
    )
    for page in pages:
        for job in page["TrainingJobSummaries"]:
            if job["TrainingJobName"].startswith(prefix):
                return job["TrainingJobName"]
    raise TrainingFailed("No training job has completed here. Run `./sortbox train DATA` first.")


def from_job(s3: "S3Client", sagemaker: "SageMakerClient", job: str, scratch: Path) -> Candidate:
    """Raises TrainingFailed for a job without a model."""
    try:
        description: Mapping[str, Any] = sagemaker.describe_training_job(TrainingJobName=job)
    except ClientError as error:
        raise TrainingFailed(f"{job}: {message_of(error)}") from error
    if description["TrainingJobStatus"] != "Completed":
        raise TrainingFailed(f"{job} is {description['TrainingJobStatus']}: it has no model.")
    archive = scratch / "candidate.tar.gz"
    s3.download_file(*split_uri(description["ModelArtifacts"]["S3ModelArtifacts"]), str(archive))
    channels = {
        channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3Uri"]
        for channel in description["InputDataConfig"]
    }
    return Candidate(archive, description["TrainingJobArn"], channels["data"])


def load_test_set(
    s3: "S3Client", source: str, provenance: Mapping[str, str], on_progress: OnProgress
) -> TestSet:
    """The images that neither trained nor selected the candidate.

    Data that `./sortbox train` uploaded has a prefix per split, and only the test split is
    downloaded. A user's own prefix is downloaded whole and split as in the job.
    """
    if not source.startswith(S3):
        return evaluate.read_test_set(Path(source))
    split = provenance.get("judged_on")
    if split not in ("test", "validation"):
        raise TrainingFailed(
            "The card does not say whether test or validation evaluated the model."
        )
    _, key = split_uri(source)
    folder = TEST_IMAGES / hashlib.sha256(source.encode()).hexdigest()[:20]
    if key == keys.dataset_prefix(provenance.get("dataset", "")):
        skipped = upload.download(s3, f"{source}{split}/", folder / split, on_progress)
        tests = evaluate.read_test_set(folder / split)
        return replace(tests, left_out=skipped + tests.left_out)
    skipped = upload.download(s3, source, folder, on_progress)
    config = _hyperparameters(provenance.get("hyperparameters", ""))
    dataset = data.prepare(
        folder, config.selects_by_validation, config.max_unreadable, lambda: None
    )
    if dataset.fingerprint != provenance.get("dataset"):
        raise TrainingFailed(
            f"{source} has changed since the candidate was trained: its test set is lost. Train "
            "again, or pass --tests FOLDER."
        )
    left_out = skipped + dataset.left_out
    return TestSet(dataset.root, dataset.labels, dataset.splits[split], left_out)


def _hyperparameters(text: str) -> TrainConfig:
    """From an untrusted card. Raises TrainingFailed."""
    try:
        strings = parse_json(text)
    except ValueError as error:
        raise TrainingFailed(f"The card's hyperparameters cannot be read: {error}") from error
    if not isinstance(strings, dict) or not all(isinstance(v, str) for v in strings.values()):
        raise TrainingFailed("The card's hyperparameters are not a JSON object of strings.")
    return TrainConfig.from_strings(strings)
