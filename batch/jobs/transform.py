"""Transform jobs: build the request (a pure function), start and describe jobs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from aws.errors import code_of, is_missing
from batch.context import TransformResources
from batch.planning.slice import ViaTransform
from domain.errors import SortboxError
from domain.instance import has_local_storage
from domain.keys import JobName

if TYPE_CHECKING:
    from types_boto3_sagemaker.client import SageMakerClient
    from types_boto3_sagemaker.type_defs import CreateTransformJobRequestTypeDef

INVOCATION_SECONDS = 90
"""The time-out of one request. The container answers within 50 s of the last byte, if only that it
is busy, so that a request without an answer after 90 s means a container that hangs. With
SageMaker's default of 600 s one image would block its place for 40 minutes."""

INVOCATION_RETRIES = 3
"""SageMaker's maximum. A busy container is likely to answer the next attempt."""


PASSING_FAILURES = ("CapacityError", "InternalServerError")
"""The beginnings of failure reasons for which neither an image nor the model is the cause."""


class NameTakenError(SortboxError):
    """A job with this name exists for another manifest, although names are unique."""


@dataclass(frozen=True, slots=True)
class TransformRequest:
    """The parameters of a transform job. `manifest` and `output` are S3 URIs."""

    name: JobName
    manifest: str
    output: str
    model: str
    route: ViaTransform
    resources: TransformResources


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no job with this name yet."""


@dataclass(frozen=True, slots=True)
class Running:
    """The job has not ended."""


@dataclass(frozen=True, slots=True)
class NoCapacity:
    """A quota of the account does not allow another job or instance now."""


@dataclass(frozen=True, slots=True)
class Denied:
    """SageMaker rejects the job: the model does not exist, or a permission is missing."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The job was stopped; its outputs are ignored."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The job has ended. `failure` is SageMaker's reason if it failed, in which case the objects
    that succeeded still have outputs."""

    failure: str | None


Job = Missing | Running | NoCapacity | Denied | Stopped | Ended


def request_for(request: TransformRequest) -> "CreateTransformJobRequestTypeDef":
    """The arguments of CreateTransformJob."""
    arguments: CreateTransformJobRequestTypeDef = {
        "TransformJobName": str(request.name),
        "ModelName": request.model,
        "MaxPayloadInMB": request.route.payload_mb,
        "ModelClientConfig": {
            "InvocationsTimeoutInSeconds": INVOCATION_SECONDS,
            "InvocationsMaxRetries": INVOCATION_RETRIES,
        },
        "TransformInput": {
            "DataSource": {
                "S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": request.manifest},
            },
            "ContentType": "application/x-image",
            "SplitType": "None",
            "CompressionType": "None",
        },
        "TransformOutput": {
            "S3OutputPath": request.output,
            "Accept": "application/json",
            "AssembleWith": "None",
        },
        "TransformResources": {
            "InstanceType": request.resources.type,
            "InstanceCount": request.resources.count,
        },
        "Tags": [
            {"Key": "app", "Value": "sortbox"},
            {"Key": "stage", "Value": request.name.stage},
        ],
    }
    if request.resources.kms_key is not None:
        # Without it SageMaker encrypts the output with AWS's key for S3, not with the bucket's.
        arguments["TransformOutput"]["KmsKeyId"] = request.resources.kms_key
        if not has_local_storage(request.resources.type):
            arguments["TransformResources"]["VolumeKmsKeyId"] = request.resources.kms_key
    if request.route.concurrency is not None:
        arguments["MaxConcurrentTransforms"] = request.route.concurrency
    return arguments


def describe(sagemaker: "SageMakerClient", name: JobName) -> Job:
    """The state of a job."""
    try:
        job = sagemaker.describe_transform_job(TransformJobName=str(name))
    except ClientError as error:
        if is_missing(error):
            return Missing()
        raise
    match job["TransformJobStatus"]:
        case "InProgress" | "Stopping":
            return Running()
        case "Stopped":
            return Stopped()
        case "Failed":
            return Ended(job.get("FailureReason", "no reason given"))
        case _:
            return Ended(None)


def is_passing(failure: str) -> bool:
    """Whether the failure is temporary, so that the same job may succeed later."""
    return failure.startswith(PASSING_FAILURES)


def start(sagemaker: "SageMakerClient", request: TransformRequest) -> Job:
    """Start the job if it does not exist. Raises NameTakenError if the name has another
    manifest."""
    try:
        sagemaker.create_transform_job(**request_for(request))
    except ClientError as error:
        match code_of(error):
            case "ResourceLimitExceeded":
                return NoCapacity()
            case "ValidationException" | "AccessDeniedException":
                return Denied(str(error))
            case "ResourceInUse":
                _check_same(sagemaker, request)
            case _:
                raise
    return Running()


def _check_same(sagemaker: "SageMakerClient", request: TransformRequest) -> None:
    job = sagemaker.describe_transform_job(TransformJobName=str(request.name))
    manifest = job["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
    if manifest != request.manifest:
        raise NameTakenError(f"{request.name} exists, of {manifest} and not of {request.manifest}")
