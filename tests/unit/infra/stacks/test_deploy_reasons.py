"""Why a stack failed, as its events tell it."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import WaiterError

from infra.stacks.deploy import DeployError, wait_for

STACK = "sortbox-dev-storage"


def event(name: str, status: str, reason: str = "") -> dict[str, str]:
    return {
        "LogicalResourceId": name,
        "ResourceStatus": status,
        "ResourceStatusReason": reason,
    }


class Failing:
    """A stack whose waiter fails; DescribeStackEvents answers the newest first, in pages."""

    def __init__(self, *events: dict[str, str]) -> None:
        self.events = [*reversed(events)]

    def get_waiter(self, name: str) -> "Failing":
        return self

    def wait(self, **_: Any) -> None:
        raise WaiterError("StackUpdateComplete", "it failed", {})

    def get_paginator(self, operation: str) -> "Failing":
        assert operation == "describe_stack_events"
        return self

    def paginate(self, StackName: str) -> Iterator[dict[str, Any]]:
        for at in range(0, len(self.events), 100):
            yield {"StackEvents": self.events[at : at + 100]}


def test_the_reason_is_found_behind_a_rollback_of_any_length_and_earlier_ones_are_not() -> None:
    rollback = [event(f"Queue{number}", "DELETE_COMPLETE") for number in range(250)]
    cloudformation: Any = Failing(
        event(STACK, "CREATE_IN_PROGRESS", "User Initiated"),
        event("Old", "CREATE_FAILED", "last week's"),
        event(STACK, "UPDATE_IN_PROGRESS", "User Initiated"),
        event("Bucket", "CREATE_FAILED", "it exists already"),
        event("Queue", "CREATE_FAILED", "Resource creation cancelled"),
        event(STACK, "UPDATE_ROLLBACK_IN_PROGRESS"),
        *rollback,
    )
    with pytest.raises(DeployError) as failed:
        wait_for(cloudformation, "stack_update_complete", STACK)
    assert str(failed.value).splitlines() == [
        f"{STACK} failed:",
        "  Bucket: it exists already",
        "  Queue: Resource creation cancelled",
    ]
