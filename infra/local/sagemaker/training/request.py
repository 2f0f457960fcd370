"""CreateTrainingJob: parse and validate the request."""

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass

from infra.local.sagemaker.containers.transfers import Location
from infra.local.sagemaker.core.errors import ValidationException
from infra.local.sagemaker.core.store import Record
from infra.local.sagemaker.debugger.request import DebuggerRequest
from infra.local.sagemaker.transform.request import refuse_key_for_local_storage

MAX_RUNTIME_SECONDS = 86_400
"""AWS's default for MaxRuntimeInSeconds."""

CHECKPOINTS = "/opt/ml/checkpoints"
NOTHING: Set[object] = frozenset()

SUPPORTED: Mapping[str, Set[object]] = {
    "AlgorithmSpecification.TrainingInputMode": {"File"},
    "AlgorithmSpecification.AlgorithmName": NOTHING,
    "AlgorithmSpecification.ContainerEntrypoint": NOTHING,
    "AlgorithmSpecification.ContainerArguments": NOTHING,
    "OutputDataConfig.CompressionType": {"GZIP"},
    "ResourceConfig.InstanceCount": {1},
    "ResourceConfig.InstanceGroups": NOTHING,
    "CheckpointConfig.LocalPath": {CHECKPOINTS},
}
SUPPORTED_OF_A_CHANNEL: Mapping[str, Set[object]] = {
    "InputMode": {"File"},
    "CompressionType": {"None"},
    "RecordWrapperType": {"None"},
    "ShuffleConfig": NOTHING,
    "DataSource.FileSystemDataSource": NOTHING,
    "DataSource.S3DataSource.S3DataType": {"S3Prefix"},
    "DataSource.S3DataSource.S3DataDistributionType": {"FullyReplicated"},
}
"""Channel members of which the local SageMaker supports only some of AWS's values."""


@dataclass(frozen=True, slots=True)
class Channel:
    name: str
    source: Location
    content_type: str | None


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    pattern: re.Pattern[str]


@dataclass(frozen=True, slots=True)
class TrainingJobRequest:
    name: str
    image: str
    role: str
    hyperparameters: Mapping[str, str]
    environment: Mapping[str, str]
    channels: tuple[Channel, ...]
    output: Location
    checkpoints: Location | None
    metrics: tuple[Metric, ...]
    instance_type: str
    max_seconds: float
    is_isolated: bool
    debug: DebuggerRequest

    @classmethod
    def of(cls, job: Record) -> "TrainingJobRequest":
        """Parse a request. Raises ValidationException if SageMaker accepts it and the local one
        cannot run it.
        """
        refuse_unsupported(job, SUPPORTED, "")
        refuse_key_for_local_storage(job["ResourceConfig"])
        channels = job.get("InputDataConfig", [])
        for channel in channels:
            refuse_unsupported(channel, SUPPORTED_OF_A_CHANNEL, f"{channel['ChannelName']}.")
        algorithm = job["AlgorithmSpecification"]
        checkpoints = job.get("CheckpointConfig", {}).get("S3Uri")
        try:
            return cls(
                name=job["TrainingJobName"],
                image=algorithm["TrainingImage"],
                role=job["RoleArn"],
                hyperparameters=job.get("HyperParameters", {}),
                environment=job.get("Environment", {}),
                channels=tuple(_channel(member) for member in channels),
                output=Location.parse(job["OutputDataConfig"]["S3OutputPath"]),
                checkpoints=Location.parse(checkpoints) if checkpoints else None,
                metrics=tuple(_metric(member) for member in algorithm.get("MetricDefinitions", [])),
                instance_type=job["ResourceConfig"]["InstanceType"],
                max_seconds=job["StoppingCondition"].get(
                    "MaxRuntimeInSeconds", MAX_RUNTIME_SECONDS
                ),
                is_isolated=job.get("EnableNetworkIsolation", False),
                debug=DebuggerRequest.of(job),
            )._checked()
        except KeyError as error:
            raise ValidationException(f"The local SageMaker needs {error.args[0]}.") from error
        except ValueError as error:
            raise ValidationException(str(error)) from error

    def output_of(self, file: str) -> Location:
        """The location of `model.tar.gz` or `output.tar.gz`."""
        folder = self.output.key.rstrip("/")
        key = f"{folder}/{self.name}" if folder else self.name
        return Location(self.output.bucket, f"{key}/output/{file}")

    def _checked(self) -> "TrainingJobRequest":
        names = [channel.name for channel in self.channels]
        if len(set(names)) < len(names):
            raise ValueError(f"Channel names must be unique: {', '.join(names)}")
        return self


def _channel(definition: Record) -> Channel:
    source = Location.parse(definition["DataSource"]["S3DataSource"]["S3Uri"])
    return Channel(definition["ChannelName"], source, definition.get("ContentType"))


def _metric(definition: Record) -> Metric:
    try:
        return Metric(definition["Name"], re.compile(definition["Regex"]))
    except re.error as error:
        raise ValueError(
            f"Metric {definition['Name']}: {definition['Regex']!r} is not a valid regex: {error}"
        ) from error


def refuse_unsupported(
    definition: Record, supported: Mapping[str, Set[object]], where: str
) -> None:
    """Raises ValidationException for the first member whose value is not supported."""
    for path, allowed in supported.items():
        value: object = definition
        for member in path.split("."):
            value = value.get(member) if isinstance(value, dict) else None
        if value is not None and (isinstance(value, list | dict) or value not in allowed):
            takes = " or ".join(sorted(map(str, allowed))) or "none"
            raise ValidationException(
                f"{where}{path} {value!r} is not supported by the local SageMaker; "
                f"it takes {takes}."
            )
