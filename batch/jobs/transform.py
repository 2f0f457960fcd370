"""Transform jobs: the request (pure), and what a run asks of SageMaker about them."""

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
"""The container answers every image within 50 s of its last byte, if only that it is busy: what has
no answer after 90 s has a container that hangs. SageMaker's own default, 600 s, let one image hold
its place for 40 minutes."""

INVOCATION_RETRIES = 3
"""The most there may be. At 503 the container is busy, and the next try is likely to succeed."""


PASSING_FAILURES = ("CapacityError", "InternalServerError")
"""What the reason of a failed job begins with where no image and no model is to blame."""


class NameTakenError(SortboxError):
    """A job of this name exists with another manifest, though names are never shared."""


@dataclass(frozen=True, slots=True)
class TransformRequest:
    """One transform job to be. `manifest` and `output` are S3 URIs."""

    name: JobName
    manifest: str
    output: str
    model: str
    route: ViaTransform
    resources: TransformResources


@dataclass(frozen=True, slots=True)
class Missing:
    """No job has this name yet."""


@dataclass(frozen=True, slots=True)
class Running:
    """The job has not ended, or there is no telling yet."""


@dataclass(frozen=True, slots=True)
class NoCapacity:
    """The account may not run one more job, or one more machine, just now."""


@dataclass(frozen=True, slots=True)
class Denied:
    """SageMaker will never start this job: there is no such model, or no permission."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """Somebody stopped the job: what it has written, or not, is taken for nothing."""


@dataclass(frozen=True, slots=True)
class Ended:
    """`failure` is SageMaker's reason where the job failed; its good objects have outputs."""

    failure: str | None


Job = Missing | Running | NoCapacity | Denied | Stopped | Ended


def request_for(request: TransformRequest) -> "CreateTransformJobRequestTypeDef":
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
        # Without it SageMaker would write under the account's own key for S3, not the bucket's.
        arguments["TransformOutput"]["KmsKeyId"] = request.resources.kms_key
        if not has_local_storage(request.resources.type):
            arguments["TransformResources"]["VolumeKmsKeyId"] = request.resources.kms_key
    if request.route.concurrency is not None:
        arguments["MaxConcurrentTransforms"] = request.route.concurrency
    return arguments


def describe(sagemaker: "SageMakerClient", name: JobName) -> Job:
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
    """Whether the same job may succeed a while later."""
    return failure.startswith(PASSING_FAILURES)


def start(sagemaker: "SageMakerClient", request: TransformRequest) -> Job:
    """Starts the job unless that was done already; NameTakenError where the name is another's."""
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
