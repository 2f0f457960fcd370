"""A stage's resource names. infra/*.yml and serverless.yml define the same names."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from aws.errors import is_missing
from domain.errors import SortboxError
from domain.instance import DEFAULT_TYPE
from domain.model import EndpointMode
from infra.endpoint_settings import EndpointSettings

if TYPE_CHECKING:
    from types_boto3_sagemaker.literals import ProductionVariantInstanceTypeType
    from types_boto3_sagemaker.type_defs import TagTypeDef


NO_KEY = "none"
"""The value of the key parameter in templates if there is no customer managed key."""

KMS_KEY = re.compile(r"arn:aws[a-z-]*:kms:(?P<region>[a-z0-9-]+):[0-9]{12}:key/[A-Za-z0-9-]+")


NOT_A_STAGE = "image"
"""Reserved: `sortbox-image` is the stack of the image, which all stages share."""


class StageError(SortboxError):
    """The stage name is invalid or the stage is not deployed; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage such as `local`, `dev` or `prod`. Stages differ only in their serverless.yml
    parameters.
    """

    name: str

    def __post_init__(self) -> None:
        # Part of the name of every transform job, which has at most 63 characters.
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
        """The endpoint on an instance, in mode instance."""
        return self.stack

    @property
    def endpoint_names(self) -> dict[EndpointMode, str]:
        """The endpoint's name in each mode that has one. SageMaker cannot convert one kind of
        endpoint into the other, so that the modes are switched by moving the pointer.
        """
        return {"instance": self.endpoint, "serverless": f"{self.endpoint}-serverless"}

    @property
    def prefix(self) -> str:
        """The prefix of the names of the stage's SageMaker models, endpoint configurations and
        jobs.
        """
        return f"{self.stack}-"

    @property
    def endpoint_alarm(self) -> str:
        """The alarm on server errors of the endpoint. An update is rolled back if it rings."""
        return f"{self.prefix}endpoint-errors"

    def is_endpoint_alarm_ringing(self) -> bool:
        return is_ringing(boto3.client("cloudwatch"), self.endpoint_alarm)

    def queue(self, name: str) -> str:
        """A queue's name: `inbox`, `backlog`, `folder`, `page`, or a dead-letter queue such as
        `inbox-dead`.
        """
        return f"{self.prefix}{name}"

    @property
    def tags(self) -> "list[TagTypeDef]":
        """Cost allocation tags for the resources that CloudFormation does not create."""
        return [{"Key": "app", "Value": "sortbox"}, {"Key": "stage", "Value": self.name}]

    @property
    def endpoint_instance_type(self) -> "ProductionVariantInstanceTypeType":
        return DEFAULT_TYPE

    @property
    def bucket(self) -> str:
        """The bucket's name, from CloudFormation. Raises StageError if the stage is not
        deployed.
        """
        return self._output(self.storage_stack, "BucketName")

    def model_role(self) -> str:
        """The execution role of SageMaker models. Raises StageError if the stage is not
        deployed.
        """
        return self._output(self.stack, "ModelRoleArn")

    def training_role(self) -> str:
        """The execution role of training jobs. Raises StageError if the stage is not deployed."""
        return self._output(self.stack, "TrainingRoleArn")

    def endpoint_settings(self) -> EndpointSettings:
        """How the stage answers singles, as deployed. Raises StageError."""
        described = outputs(self.stack)
        if described is None:
            raise StageError(self._not_deployed)
        return EndpointSettings.parse(described)

    def kms_key(self) -> str | None:
        """The ARN of the customer managed key; None if there is none. Raises StageError."""
        described = outputs(self.storage_stack)
        if described is None:
            raise StageError(self._not_deployed)
        key = described.get("KmsKey", NO_KEY)  # absent from older stages
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
    """Whether the alarm is in ALARM now. False if it does not exist or has insufficient data."""
    alarms = cloudwatch.describe_alarms(AlarmNames=[alarm], StateValue="ALARM")
    return bool(alarms["MetricAlarms"])


def outputs(stack: str, cloudformation: Any = None) -> dict[str, str] | None:
    """A stack's outputs by name; None if the stack does not exist."""
    client = cloudformation or boto3.client("cloudformation")
    try:
        described = client.describe_stacks(StackName=stack)
    except ClientError as error:
        if not is_missing(error):
            raise
        return None
    return {
        output["OutputKey"]: output["OutputValue"]
        for output in described["Stacks"][0].get("Outputs", [])
    }
