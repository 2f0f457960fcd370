"""A stage's names, in one place; infra/*.yml and serverless.yml give the same ones."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from aws.errors import is_missing
from domain.errors import SortboxError
from domain.instance import DEFAULT_TYPE

if TYPE_CHECKING:
    from types_boto3_sagemaker.literals import ProductionVariantInstanceTypeType
    from types_boto3_sagemaker.type_defs import TagTypeDef


NO_KEY = "none"
"""How templates and parameters spell that there is no key of the customer's own."""

KMS_KEY = re.compile(r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):[0-9]{12}:key/[A-Za-z0-9-]+")


NOT_A_STAGE = "image"
"""`sortbox-image` is the stack of the image, which all stages share."""


class StageError(SortboxError):
    """A sentence for the person who named the stage."""


@dataclass(frozen=True, slots=True)
class Stage:
    """`local`, `dev`, `prod` …: they differ by the parameters in serverless.yml only."""

    name: str

    def __post_init__(self) -> None:
        # Part of every transform job's name, and 63 characters have to hold them all.
        if not re.fullmatch(r"[a-z0-9]{1,8}", self.name):
            raise StageError(f"a stage is 1 to 8 of a-z and 0-9, not {self.name!r}")
        if self.name == NOT_A_STAGE:
            raise StageError(
                f"no stage can be {self.name!r}: its stack's name, sortbox-{self.name}, is that of "
                "the container image's stack"
            )

    @property
    def stack(self) -> str:
        return f"sortbox-{self.name}"

    @property
    def storage_stack(self) -> str:
        return f"{self.stack}-storage"

    @property
    def endpoint(self) -> str:
        return self.stack

    @property
    def prefix(self) -> str:
        """What the names of its SageMaker models, endpoint configurations and jobs start with."""
        return f"{self.stack}-"

    @property
    def endpoint_alarm(self) -> str:
        """Rings when the endpoint answers with errors of its own: an update is then undone."""
        return f"{self.prefix}endpoint-errors"

    def is_endpoint_alarm_ringing(self) -> bool:
        return is_ringing(boto3.client("cloudwatch"), self.endpoint_alarm)

    def queue(self, name: str) -> str:
        """`inbox`, `backlog`, `folder` or `page`, or the dead letters of one: `inbox-dead` …"""
        return f"{self.prefix}{name}"

    @property
    def tags(self) -> "list[TagTypeDef]":
        """The cost allocation tags of what CloudFormation does not make."""
        return [{"Key": "app", "Value": "sortbox"}, {"Key": "stage", "Value": self.name}]

    @property
    def endpoint_instance_type(self) -> "ProductionVariantInstanceTypeType":
        return DEFAULT_TYPE

    @property
    def bucket(self) -> str:
        """Asks CloudFormation. Raises StageError where the stage is not deployed."""
        return self._output(self.storage_stack, "BucketName")

    def model_role(self) -> str:
        """The role that SageMaker's containers run as. Raises StageError as `bucket` does."""
        return self._output(self.stack, "ModelRoleArn")

    def training_role(self) -> str:
        """The role of training jobs."""
        return self._output(self.stack, "TrainingRoleArn")

    def kms_key(self) -> str | None:
        """The ARN of the customer's own key; None where there is none. Raises StageError."""
        described = outputs(self.storage_stack)
        if described is None:
            raise StageError(self._not_deployed)
        key = described.get("KmsKey", NO_KEY)  # a stage from before there were keys has none
        return None if key == NO_KEY else key

    @property
    def _not_deployed(self) -> str:
        return (
            f"Stage {self.name} is not deployed here. "
            f"Run `./sortbox deploy --stage {self.name}` first."
        )

    def _output(self, stack: str, name: str) -> str:
        described = outputs(stack)
        if described is None or name not in described:
            raise StageError(self._not_deployed)
        return described[name]


def is_ringing(cloudwatch: Any, alarm: str) -> bool:
    """Now, whatever made it ring; no alarm, or too little data, is no ringing."""
    alarms = cloudwatch.describe_alarms(AlarmNames=[alarm], StateValue="ALARM")
    return bool(alarms["MetricAlarms"])


def outputs(stack: str) -> dict[str, str] | None:
    """A stack's outputs by name; None where there is no such stack."""
    try:
        described = boto3.client("cloudformation").describe_stacks(StackName=stack)
    except ClientError as error:
        if not is_missing(error):
            raise
        return None
    return {
        output["OutputKey"]: output["OutputValue"]
        for output in described["Stacks"][0].get("Outputs", [])
    }
