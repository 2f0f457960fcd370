"""Execution roles: jobs and endpoints have the permissions of their role's policies.

Their calls of S3 and CloudWatch Logs use the role's temporary credentials, so that the emulator
enforces the policies. What AWS does without an API call here (pull the image, write metrics, watch
an alarm) is checked against the role's policies before a container starts. The list is that of
docs.aws.amazon.com/sagemaker/latest/dg/sagemaker-roles.html ("CreateModel API: Execution Role
Permissions", "CreateTrainingJob API: Execution Role Permissions"). AWS starts a container whose
role may not write logs or metrics, and shows none of them; here it does not start.
"""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import boto3
from botocore.config import Config

from infra.local.access.permissions import NotAssumable, Permissions, Question
from infra.local.sagemaker.core.errors import ApiError, ValidationException
from infra.local.sagemaker.core.resources import ACCOUNT

if TYPE_CHECKING:
    from types_boto3_logs import CloudWatchLogsClient
    from types_boto3_s3 import S3Client

SERVICE = "sagemaker.amazonaws.com"
REPOSITORY = re.compile(r"(?P<account>\d+)\.dkr\.ecr\.(?P<region>[^.]+)\.[^/]+/(?P<name>[^:@]+)")

OfWhat = Literal["Endpoints", "TransformJobs", "TrainingJobs"]
"""The names of the log groups below /aws/sagemaker, and of the namespaces of metrics."""


class RoleLacks(ApiError):
    """The role lacks a permission. The message becomes the FailureReason of its job or endpoint."""


@dataclass(frozen=True, slots=True)
class Need:
    action: str
    resource: str
    context: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Roles:
    """Clients with the credentials of roles. Without `permissions` roles are not enforced: the
    owner's key is used.
    """

    region: str
    permissions: Permissions | None = None
    connections: int = 10
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def s3(self, role: str) -> "S3Client":
        """A client of S3. Raises ValidationException if the role cannot be assumed."""
        client: S3Client = self._client("s3", role)
        return client

    def logs(self, role: str) -> "CloudWatchLogsClient":
        """A client of CloudWatch Logs. Raises ValidationException if the role cannot be assumed."""
        client: CloudWatchLogsClient = self._client("logs", role)
        return client

    def alarms(self) -> Any:
        """The owner's client of CloudWatch; whether the role may see an alarm is checked against
        its policies.
        """
        return self._client("cloudwatch", "")

    def check_assumable(self, role: str) -> None:
        """Raises ValidationException with AWS's message if SageMaker cannot assume the role."""
        if self.permissions is None:
            return
        try:
            self.permissions.assume(role, SERVICE)
        except NotAssumable as error:
            raise ValidationException(
                f"Could not assume role {role}. Please ensure that the role exists and allows "
                f"principal '{SERVICE}' to assume the role."
            ) from error

    def check_container(self, role: str, image: str, of: OfWhat, name: str) -> None:
        """Raises RoleLacks for the first permission that the container needs and the role lacks."""
        for need in _needs(image, self.region, of, name):
            self.check(role, need)

    def check(self, role: str, need: Need) -> None:
        """Raises RoleLacks if the role does not have the permission."""
        if self.permissions is None:
            return
        question = Question(role, need.action, need.resource, dict(need.context))
        if not self.permissions.decide(question).is_allowed:
            raise RoleLacks(
                f"ClientError: The execution role {role} is not authorized to perform: "
                f"{need.action} on resource: {need.resource}."
            )

    def _client(self, service: str, role: str) -> Any:
        of = role if self.permissions else ""
        with self._lock:
            if (service, of) not in self._clients:
                self._clients[service, of] = self._made(service, of)
            return self._clients[service, of]

    def _made(self, service: str, role: str) -> Any:
        config = Config(max_pool_connections=self.connections)
        session = boto3.Session(region_name=self.region)
        if self.permissions and role:
            self.check_assumable(role)
            key = self.permissions.assume(role, SERVICE)
            session = boto3.Session(key.key_id, key.secret, key.token, region_name=self.region)
        return session.client(service, config=config)  # type: ignore[call-overload]


def _needs(image: str, region: str, of: OfWhat, name: str) -> Iterator[Need]:
    yield Need("ecr:GetAuthorizationToken", "*")
    if stored := REPOSITORY.match(image):
        arn = f"arn:aws:ecr:{stored['region']}:{stored['account']}:repository/{stored['name']}"
        for action in ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer"):
            yield Need(f"ecr:{action}", arn)
    group = f"/aws/sagemaker/{of}" + (f"/{name}" if of == "Endpoints" else "")
    arn = f"arn:aws:logs:{region}:{ACCOUNT}:log-group:{group}"
    yield Need("logs:CreateLogGroup", arn)
    yield Need("logs:DescribeLogStreams", arn)
    for action in ("CreateLogStream", "PutLogEvents"):
        yield Need(f"logs:{action}", f"{arn}:log-stream:{name}")
    namespace = ("cloudwatch:namespace", f"/aws/sagemaker/{of}")
    yield Need("cloudwatch:PutMetricData", "*", (namespace,))
