"""Whom the local SageMaker acts as, and what it asks of the emulator's IAM first."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from infra.local.access.permissions import Permissions
from infra.local.sagemaker.core.errors import AccessDeniedException
from infra.local.sagemaker.core.gate import Gate
from infra.local.sagemaker.core.roles import RoleLacks, Roles

ROLE = "arn:aws:iam::000000000000:role/model"
IMAGE = "000000000000.dkr.ecr.us-east-1.amazonaws.com/sortbox@sha256:0"


class Emulator:
    """Allows everything but what is denied; remembers what it was asked."""

    def __init__(self, *denied: str) -> None:
        self.denied = denied
        self.questions: list[tuple[str, str, str]] = []

    def answer(self, path: str, body: bytes) -> bytes:
        question: Mapping[str, Any] = json.loads(body)
        if path.endswith("assume"):
            return json.dumps({"key_id": "ASIAROLE", "secret": "s", "token": "t"}).encode()
        self.questions.append((question["who"], question["action"], question["resource"]))
        allowed = question["action"] not in self.denied
        return json.dumps({"is_allowed": allowed, "principal": "arn:aws:iam::0:user/x"}).encode()

    def roles(self) -> Roles:
        return Roles("us-east-1", Permissions(self.answer))


def key_of(client: Any) -> str:
    signer: Any = client._request_signer
    return str(signer._credentials.access_key)


def test_a_job_acts_with_its_roles_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOWNER")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert key_of(Emulator().roles().s3(ROLE)) == "ASIAROLE"
    assert key_of(Roles("us-east-1").s3(ROLE)) == "AKIAOWNER"


@pytest.mark.parametrize(
    "action",
    [
        *("ecr:GetAuthorizationToken", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"),
        *("ecr:BatchCheckLayerAvailability", "logs:CreateLogGroup", "logs:CreateLogStream"),
        *("logs:PutLogEvents", "logs:DescribeLogStreams", "cloudwatch:PutMetricData"),
    ],
)
def test_a_container_needs_what_aws_documents(action: str) -> None:
    with pytest.raises(RoleLacks, match=f"not authorized to perform: {action} on resource"):
        Emulator(action).roles().check_container(ROLE, IMAGE, "TransformJobs", "job")


def admit(emulator: Emulator, operation: str, request: dict[str, Any]) -> None:
    asyncio.run(Gate(emulator.roles()).admit("AKIACALLER", operation, request))


TRAINING = {"TrainingJobName": "Job", "RoleArn": ROLE, "Tags": [{"Key": "a", "Value": "b"}]}


@pytest.mark.parametrize(
    "action", ["sagemaker:CreateTrainingJob", "sagemaker:AddTags", "iam:PassRole"]
)
def test_who_starts_a_job_needs_three_permissions(action: str) -> None:
    with pytest.raises(AccessDeniedException, match=f"is not authorized to perform: {action}"):
        admit(Emulator(action), "CreateTrainingJob", TRAINING)
    admit(Emulator(), "CreateTrainingJob", TRAINING)


def test_an_endpoint_and_its_configuration_are_both_asked_for() -> None:
    emulator = Emulator()
    request = {"EndpointName": "One", "EndpointConfigName": "Two"}
    admit(emulator, "UpdateEndpoint", request)
    arn = "arn:aws:sagemaker:us-east-1:000000000000"
    assert [resource for _, _, resource in emulator.questions] == [
        f"{arn}:endpoint/One",
        f"{arn}:endpoint-config/Two",
    ]
