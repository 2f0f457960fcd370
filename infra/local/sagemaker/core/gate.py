"""Authorization of requests to the local SageMaker, if the cloud enforces roles.

The caller needs permission for the operation on its resource, for sagemaker:AddTags if the request
has tags, and for iam:PassRole on the execution role
(docs.aws.amazon.com/service-authorization/latest/reference/list_amazonsagemaker.html). SageMaker
must be able to assume that role.
"""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from infra.local.access.permissions import Answer, Permissions, Question
from infra.local.sagemaker.containers.transfers import Location
from infra.local.sagemaker.core.errors import AccessDeniedException, ValidationException
from infra.local.sagemaker.core.operations import Request
from infra.local.sagemaker.core.resources import ENDPOINT, ENDPOINT_CONFIG, KINDS
from infra.local.sagemaker.core.roles import SERVICE, Roles

KEPT_SECONDS = 1.0
"""How long a decision is cached, which is shorter than IAM's own delay for changed policies."""

KEPT = 1000


@dataclass(frozen=True, slots=True)
class Gate:
    roles: Roles
    _kept: dict[tuple[object, ...], tuple[float, Answer]] = field(default_factory=dict)

    async def admit(self, caller: str, operation: str, request: Request) -> None:
        """Authorize an operation. `caller` is an access key id. Raises AccessDeniedException, or
        ValidationException.
        """
        if self.roles.permissions is None:
            return
        await asyncio.to_thread(self._admit, self.roles.permissions, caller, operation, request)

    async def admit_invocation(self, caller: str, endpoint: str) -> None:
        """Authorize an invocation. Raises AccessDeniedException."""
        if self.roles.permissions is not None:
            arn = ENDPOINT.arn(self.roles.region, endpoint)
            question = Question(caller, "sagemaker:InvokeEndpoint", arn, {})
            await asyncio.to_thread(self._check, self.roles.permissions, question)

    def _admit(
        self, permissions: Permissions, caller: str, operation: str, request: Request
    ) -> None:
        for resource in _resources(self.roles.region, operation, request):
            self._check(permissions, Question(caller, f"sagemaker:{operation}", resource, {}))
            if request.get("Tags") and operation != "AddTags":
                self._check(permissions, Question(caller, "sagemaker:AddTags", resource, {}))
        role = _role(request)
        if role is None:
            return
        passed = {"iam:passedtoservice": SERVICE}
        self._check(permissions, Question(caller, "iam:PassRole", role, passed))
        self.roles.check_assumable(role)
        self._check_archive(role, request)

    def _check_archive(self, role: str, request: Request) -> None:
        """Look up the model's archive with the role's credentials, as CreateModel does."""
        uri = request.get("PrimaryContainer", {}).get("ModelDataUrl")
        if uri is None:
            return
        at = Location.parse(uri)
        try:
            self.roles.s3(role).head_object(Bucket=at.bucket, Key=at.key)
        except ClientError as error:
            raise ValidationException(
                f"Could not access model data at {at}. Please ensure that the role "
                f'"{role}" exists and that its trust relationship policy allows the action '
                f'"sts:AssumeRole" for the service principal "{SERVICE}". Also ensure that the '
                'role has "s3:GetObject" permissions and that the object is located in '
                f"{self.roles.region}."
            ) from error

    def _check(self, permissions: Permissions, question: Question) -> None:
        key = (question.who, question.action, question.resource)
        until, answer = self._kept.get(key, (0.0, None))
        if answer is None or time.monotonic() > until:
            answer = permissions.decide(question)
            if len(self._kept) >= KEPT:
                self._kept.clear()
            self._kept[key] = time.monotonic() + KEPT_SECONDS, answer
        if not answer.is_allowed:
            raise AccessDeniedException(
                f"User: {answer.principal} is not authorized to perform: {question.action} on "
                f"resource: {question.resource} because no identity-based policy allows the "
                f"{question.action} action"
            )


def _resources(region: str, operation: str, request: Request) -> Iterator[str]:
    """The ARNs that a policy can name for the operation; `*` for lists and operations without a
    resource.
    """
    noun = operation.removeprefix("Create").removeprefix("Update").removeprefix("Describe")
    noun = noun.removeprefix("Delete").removeprefix("Stop")
    kinds = [kind for kind in KINDS if kind.noun == noun and kind.name_field in request]
    if not kinds:
        yield request.get("ResourceArn", "*")
        return
    yield kinds[0].arn(region, request[kinds[0].name_field])
    if kinds[0] is ENDPOINT and "EndpointConfigName" in request:
        yield ENDPOINT_CONFIG.arn(region, request["EndpointConfigName"])


def _role(request: Request) -> str | None:
    inner: Any = request.get("TrainingJobDefinition", {})
    role: str | None = request.get("ExecutionRoleArn") or request.get("RoleArn")
    return role or inner.get("RoleArn")
