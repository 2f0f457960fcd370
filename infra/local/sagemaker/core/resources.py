"""Kinds of resources: their names in AWS, and the errors for missing and duplicate resources."""

from dataclasses import dataclass

from infra.local.sagemaker.core.errors import (
    ApiError,
    ResourceInUse,
    ResourceNotFound,
    ValidationException,
)

ACCOUNT = "000000000000"


@dataclass(frozen=True, slots=True)
class Kind:
    """`noun` as in CreateEndpointConfig, `slug` as in ARNs, `label` as in messages."""

    noun: str
    slug: str
    label: str
    summary: str
    listed: str

    @property
    def title(self) -> str:
        """The name in events."""
        return " ".join(word[0].upper() + word[1:] for word in self.label.split())

    @property
    def name_field(self) -> str:
        return f"{self.noun}Name"

    @property
    def arn_field(self) -> str:
        return f"{self.noun}Arn"

    @property
    def status_field(self) -> str:
        return f"{self.noun}Status"

    def arn(self, region: str, name: str) -> str:
        return f"arn:aws:sagemaker:{region}:{ACCOUNT}:{self.slug}/{name}"

    def missing(self, name: str, arn: str) -> ApiError:
        return ValidationException(f'Could not find {self.label} "{arn}".')

    def duplicate(self, arn: str) -> ApiError:
        return ValidationException(f'Cannot create already existing {self.label} "{arn}".')


class JobKind(Kind):
    """Jobs are never deleted, and have error codes of their own."""

    def missing(self, name: str, arn: str) -> ApiError:
        return ResourceNotFound(f"Could not find requested job with name: {name}")

    def duplicate(self, arn: str) -> ApiError:
        return ResourceInUse(
            "Job name must be unique within an AWS account and region, "
            f"and a job with this name already exists ({arn})"
        )


class VersionKind(Kind):
    """Identified by group and version number, `pets/7`: AWS returns no other name."""

    @property
    def name_field(self) -> str:
        return "Version"


MODEL = Kind("Model", "model", "model", "ModelSummary", "Models")
ENDPOINT_CONFIG = Kind(
    "EndpointConfig",
    "endpoint-config",
    "endpoint configuration",
    "EndpointConfigSummary",
    "EndpointConfigs",
)
ENDPOINT = Kind("Endpoint", "endpoint", "endpoint", "EndpointSummary", "Endpoints")
TRAINING_JOB = JobKind(
    "TrainingJob", "training-job", "training job", "TrainingJobSummary", "TrainingJobSummaries"
)
TUNING_JOB = JobKind(
    "HyperParameterTuningJob",
    "hyper-parameter-tuning-job",
    "hyperParameter tuning job",
    "HyperParameterTuningJobSummary",
    "HyperParameterTuningJobSummaries",
)
TRIAL = JobKind(
    "TrainingJob",
    "training-job",
    "training job",
    "HyperParameterTrainingJobSummary",
    "TrainingJobSummaries",
)
"""A training job as ListTrainingJobsForHyperParameterTuningJob returns it; it is stored as a
training job."""

TRANSFORM_JOB = JobKind(
    "TransformJob",
    "transform-job",
    "transform job",
    "TransformJobSummary",
    "TransformJobSummaries",
)
MODEL_PACKAGE_GROUP = Kind(
    "ModelPackageGroup",
    "model-package-group",
    "model package group",
    "ModelPackageGroupSummary",
    "ModelPackageGroupSummaryList",
)
MODEL_PACKAGE = VersionKind(
    "ModelPackage",
    "model-package",
    "model package",
    "ModelPackageSummary",
    "ModelPackageSummaryList",
)

KINDS = (
    MODEL,
    ENDPOINT_CONFIG,
    ENDPOINT,
    TRAINING_JOB,
    TUNING_JOB,
    TRANSFORM_JOB,
    MODEL_PACKAGE_GROUP,
    MODEL_PACKAGE,
)
