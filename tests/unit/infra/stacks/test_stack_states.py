"""Stacks that CloudFormation will not update: one that never came up is made again."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from domain.instance import UnfitInstanceError
from infra.stacks import image
from infra.stacks.deploy import DeployError, deploy, deploy_storage, updatable_status
from infra.stage import NO_KEY, Stage
from tests.support.fakes.aws import error

STORAGE = Stage("dev").storage_stack


@dataclass
class CloudFormation:
    """One stack; each change is done at once. The states are those of botocore's StackStatus."""

    status: str | None
    calls: list[str] = field(default_factory=list)

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:
        if self.status is None:
            missing = error("DescribeStacks", 400, "ValidationError")
            missing.response["Error"]["Message"] = f"Stack with id {StackName} does not exist"
            raise missing
        return {"Stacks": [{"StackStatus": self.status}]}

    def create_stack(self, **_: Any) -> None:
        assert self.status is None, "AlreadyExistsException"
        self.calls.append("create")
        self.status = "CREATE_COMPLETE"

    def update_stack(self, **_: Any) -> None:
        assert self.status in ("CREATE_COMPLETE", "UPDATE_COMPLETE"), "can not be updated"
        self.calls.append("update")
        self.status = "UPDATE_COMPLETE"

    def delete_stack(self, *, StackName: str) -> None:
        self.calls.append("delete")
        self.status = None

    def get_waiter(self, state: str) -> "CloudFormation":
        return self

    def wait(self, **_: Any) -> None:
        """Nothing to wait for."""


def changes(status: str | None, stack: str) -> list[str]:
    fake = CloudFormation(status)
    cloudformation: Any = fake
    if stack == image.STACK:
        image.deploy_stack(cloudformation, NO_KEY)
    else:
        deploy_storage(Stage("dev"), cloudformation)
    return fake.calls


@pytest.mark.parametrize("stack", [image.STACK, STORAGE])
@pytest.mark.parametrize(
    ("status", "calls"),
    [
        (None, ["create"]),
        ("ROLLBACK_COMPLETE", ["delete", "create"]),
        ("CREATE_COMPLETE", ["update"]),
        ("UPDATE_COMPLETE", ["update"]),
    ],
)
def test_a_stack_whose_first_creation_failed_is_made_again(
    stack: str, status: str | None, calls: list[str]
) -> None:
    assert changes(status, stack) == calls


@pytest.mark.parametrize("stack", [image.STACK, STORAGE])
@pytest.mark.parametrize(
    "status",
    [
        "CREATE_IN_PROGRESS",
        "UPDATE_IN_PROGRESS",
        "UPDATE_COMPLETE_CLEANUP_IN_PROGRESS",
        "ROLLBACK_IN_PROGRESS",
        "UPDATE_ROLLBACK_IN_PROGRESS",
        "DELETE_IN_PROGRESS",
    ],
)
def test_a_stack_that_is_being_changed_is_a_sentence_and_left_alone(
    stack: str, status: str
) -> None:
    with pytest.raises(DeployError, match=f"{stack} is {status}: .*run the command again"):
        changes(status, stack)


def test_a_deployment_looks_at_the_main_stack_too() -> None:
    cloudformation: Any = CloudFormation("ROLLBACK_COMPLETE")
    assert updatable_status(cloudformation, "sortbox-dev") is None


def test_a_gpu_for_transform_jobs_is_refused_before_anything_is_packed_or_asked() -> None:
    with pytest.raises(UnfitInstanceError, match=r"transformInstanceType: ml\.g5\.xlarge"):
        deploy(Stage("dev"), {"transformInstanceType": "ml.g5.xlarge"})
