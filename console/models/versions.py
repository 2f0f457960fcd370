"""The versions in the model registry, with how good each was and what it was trained on."""

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from botocore.exceptions import ClientError

from aws import active_model
from aws.errors import is_missing
from console.context import Console
from domain.corrections.coverage import Coverage, parse_coverage
from domain.ignored.names import DATASET_MANIFEST, MANIFEST_BYTES
from domain.model import parse_json
from infra.diagnostics.catalog import Row

SHOWN_VERSIONS = 20
READS_AT_ONCE = 8
KNOWN_VERSIONS = 500
"""Of which the facts are remembered: they never change."""


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """What the registry and the training job say of a version. Accuracies are text or empty."""

    job: str = ""
    """The training job; empty for a model that came as an archive."""
    data: str = ""
    """The s3:// address of the job's training data; empty where the job is not known any more."""
    served: str = ""
    """Accuracy as it serves, measured at its promotion."""
    fp32: str = ""
    """Accuracy in fp32, measured by its training."""
    dataset: str = ""
    """The fingerprint of its training data."""


@dataclass(frozen=True, slots=True)
class Versions:
    console: Console
    _known: dict[str, VersionFacts] = field(default_factory=dict)

    def rows(self) -> tuple[list[tuple[Row, VersionFacts]], bool]:
        """The newest versions with their facts, and whether there are more.

        Two requests for each version that is shown for the first time.
        """
        rows, has_more = self.console.catalog.rows("models")
        shown = rows[:SHOWN_VERSIONS]
        arns = self._arns({str(row["model"]).rpartition(":")[0] for row in shown})
        with ThreadPoolExecutor(READS_AT_ONCE) as pool:
            facts = pool.map(lambda row: self._facts(arns.get(str(row["model"]), "")), shown)
            return [*zip(shown, facts, strict=True)], has_more or len(rows) > len(shown)

    def active_facts(self) -> VersionFacts:
        """Of the active model; empty where the registry does not have it."""
        bucket = self.console.bucket
        active = active_model.read(bucket.client, bucket.name).active
        if active is None:
            return VersionFacts()
        arns = self._arns({active.id.name})
        return self._facts(arns.get(f"{active.id.name}:{active.id.version}", ""))

    def coverage_of(self, data: str) -> tuple[Coverage, ...]:
        """Which corrections a data set holds, as its manifest has recorded it.

        Nothing where `data` has no manifest, or is no address in this bucket. Two requests.
        """
        bucket, own = self.console.bucket, f"s3://{self.console.bucket.name}/"
        if not data.startswith(own):
            return ()
        key = f"{data.removeprefix(own).rstrip('/')}/{DATASET_MANIFEST}"
        head = bucket.head(key)
        stored = bucket.read(key) if head and head.listed.size <= MANIFEST_BYTES else None
        if stored is None:
            return ()
        try:
            document = parse_json(stored.body.decode())
            return parse_coverage(document) if isinstance(document, dict) else ()
        except ValueError:
            return ()  # it is a stranger's: all corrections count as new

    def _arns(self, names: Iterable[str]) -> dict[str, str]:
        """The ARN of each `name:version`, of the newest hundred versions of each name."""
        arns = {}
        for name in names:
            pages = self.console.sagemaker.get_paginator("list_model_packages").paginate(
                ModelPackageGroupName=f"{self.console.stage.prefix}{name}",
                SortBy="CreationTime",
                SortOrder="Descending",
            )
            try:
                for page in islice(pages, 1):
                    for package in page["ModelPackageSummaryList"]:
                        key = f"{name}:{package['ModelPackageVersion']}"
                        arns[key] = package["ModelPackageArn"]
            except ClientError as error:
                if not is_missing(error):
                    raise  # a model that was activated without the registry has no group
        return arns

    def _facts(self, arn: str) -> VersionFacts:
        if not arn:
            return VersionFacts()
        if arn not in self._known:
            if len(self._known) >= KNOWN_VERSIONS:
                self._known.clear()
            self._known[arn] = self._read(arn)
        return self._known[arn]

    def _read(self, arn: str) -> VersionFacts:
        package: Mapping[str, Any] = self.console.sagemaker.describe_model_package(
            ModelPackageName=arn
        )
        about = package.get("CustomerMetadataProperties", {})
        source = package.get("MetadataProperties", {}).get("GeneratedBy", "")
        job = source.rpartition("/")[2] if ":training-job/" in source else ""
        described = _describe_job(self.console, job) if job else {}
        return VersionFacts(
            job=job,
            data=data_of(described),
            served=_share(about.get("accuracy", "")),
            fp32=_share(final_metrics(described).get("final_accuracy", "")),
            dataset=about.get("dataset", ""),
        )


def _describe_job(console: Console, job: str) -> Mapping[str, Any]:
    """Empty where SageMaker does not know the job any more."""
    try:
        return console.sagemaker.describe_training_job(TrainingJobName=job)
    except ClientError as error:
        if not is_missing(error):
            raise
        return {}


def data_of(job: Mapping[str, Any]) -> str:
    """The address of a job's training data, in Describe's reply."""
    for channel in job.get("InputDataConfig", []):
        if channel["ChannelName"] == "data":
            return str(channel["DataSource"]["S3DataSource"]["S3Uri"])
    return ""


def final_metrics(job: Mapping[str, Any]) -> dict[str, float]:
    """The last value of each metric, in Describe's reply."""
    return {one["MetricName"]: one["Value"] for one in job.get("FinalMetricDataList", [])}


def _share(value: object) -> str:
    try:
        return f"{float(str(value)):.4f}"
    except ValueError:
        return ""
