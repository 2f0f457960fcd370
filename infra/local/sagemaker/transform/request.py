"""CreateTransformJob: parse and validate the request."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from domain.instance import has_local_storage
from infra.local.sagemaker.containers.transfers import Location
from infra.local.sagemaker.core.errors import ValidationException
from infra.local.sagemaker.core.store import Record

PAYLOAD_TOTAL_MB = 100
"""AWS's limit of MaxConcurrentTransforms x MaxPayloadInMB, which also limits the bodies in
memory."""

DEFAULT_PAYLOAD_MB = 6
DEFAULT_TIMEOUT_SECONDS = 600
DEFAULT_RETRIES = 3

SUPPORTED = {
    "TransformInput.SplitType": {"None"},
    "TransformInput.CompressionType": {"None"},
    "TransformInput.DataSource.S3DataSource.S3DataType": {"S3Prefix", "ManifestFile"},
    "TransformOutput.AssembleWith": {"None"},
    "DataProcessing.JoinSource": {"None"},
    "DataProcessing.InputFilter": {"$"},
    "DataProcessing.OutputFilter": {"$"},
}
"""Members of which the local SageMaker supports only some of AWS's values."""

STRATEGIES = {"MultiRecord": "MULTI_RECORD", "SingleRecord": "SINGLE_RECORD"}


@dataclass(frozen=True, slots=True)
class PayloadLimits:
    concurrency: int
    payload_mb: int

    def __post_init__(self) -> None:
        if self.concurrency * self.payload_mb > PAYLOAD_TOTAL_MB:
            raise ValueError(
                f"MaxConcurrentTransforms ({self.concurrency}) x MaxPayloadInMB "
                f"({self.payload_mb}) exceeds {PAYLOAD_TOTAL_MB} MB"
            )


@dataclass(frozen=True, slots=True)
class TransformJobRequest:
    name: str
    model: str
    source: Location
    source_type: Literal["S3Prefix", "ManifestFile"]
    output: Location
    content_type: str | None
    accept: str | None
    concurrency: int | None
    payload_mb: int | None
    strategy: str | None
    timeout_seconds: int
    retries: int
    environment: Mapping[str, str]

    @classmethod
    def of(cls, job: Record) -> "TransformJobRequest":
        """Parse a request. Raises ValidationException if Batch Transform accepts it and the local
        one cannot run it.
        """
        _refuse_unsupported(job)
        refuse_key_for_local_storage(job["TransformResources"])
        data = job["TransformInput"]["DataSource"]["S3DataSource"]
        client = job.get("ModelClientConfig", {})
        try:
            return cls(
                name=job["TransformJobName"],
                model=job["ModelName"],
                source=Location.parse(data["S3Uri"]),
                source_type=data["S3DataType"],
                output=Location.parse(job["TransformOutput"]["S3OutputPath"]),
                content_type=job["TransformInput"].get("ContentType"),
                accept=job["TransformOutput"].get("Accept"),
                concurrency=job.get("MaxConcurrentTransforms"),
                payload_mb=job.get("MaxPayloadInMB"),
                strategy=job.get("BatchStrategy"),
                timeout_seconds=client.get("InvocationsTimeoutInSeconds", DEFAULT_TIMEOUT_SECONDS),
                retries=client.get("InvocationsMaxRetries", DEFAULT_RETRIES),
                environment=job.get("Environment", {}),
            )._checked()
        except ValueError as error:
            raise ValidationException(str(error)) from error

    def limits(self, container: Mapping[str, int]) -> PayloadLimits:
        """The limits from the request, else from the container, else the defaults. Raises
        ValueError.
        """
        return PayloadLimits(
            self.concurrency or container.get("MaxConcurrentTransforms") or 1,
            self.payload_mb or container.get("MaxPayloadInMB") or DEFAULT_PAYLOAD_MB,
        )

    @property
    def container_environment(self) -> Mapping[str, str]:
        """The variables for the container. Members that the request omits are not passed: the
        container then decides.

        docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html
        """
        settings = {
            "SAGEMAKER_BATCH_STRATEGY": self.strategy and STRATEGIES[self.strategy],
            "SAGEMAKER_MAX_PAYLOAD_IN_MB": self.payload_mb,
            "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": self.concurrency,
        }
        variables = {name: str(value) for name, value in settings.items() if value}
        return {"SAGEMAKER_BATCH": "true", **variables, **self.environment}

    @property
    def request_headers(self) -> Mapping[str, str]:
        headers = {"Content-Type": self.content_type, "Accept": self.accept}
        return {name: value for name, value in headers.items() if value}

    def output_of(self, relative: str) -> Location:
        folder = self.output.key.rstrip("/")
        key = f"{folder}/{relative}.out" if folder else f"{relative}.out"
        return Location(self.output.bucket, key)

    def _checked(self) -> "TransformJobRequest":
        if self.payload_mb == 0:
            raise ValueError("MaxPayloadInMB 0 (chunked) is not supported by the local SageMaker")
        if self.concurrency and self.payload_mb:
            PayloadLimits(self.concurrency, self.payload_mb)
        return self


def refuse_key_for_local_storage(resources: Record) -> None:
    """Raises ValidationException as SageMaker does, according to its API reference, which does not
    give the message.
    """
    if "VolumeKmsKeyId" in resources and has_local_storage(resources["InstanceType"]):
        raise ValidationException(
            f"VolumeKmsKeyId cannot be requested with {resources['InstanceType']}, whose local "
            "storage is encrypted by the instance."
        )


def _refuse_unsupported(job: Record) -> None:
    for path, allowed in SUPPORTED.items():
        value: object = job
        for member in path.split("."):
            value = value.get(member) if isinstance(value, dict) else None
        if value is not None and value not in allowed:
            raise ValidationException(
                f"{path} {value!r} is not supported by the local SageMaker; "
                f"it takes {' or '.join(sorted(allowed))}."
            )
