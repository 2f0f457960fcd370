"""A stack that was deleted a moment ago is created a minute later: SQS keeps its queues' names."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.stacks.queue_names import wait_until_free
from tests.support.fakes.aws import error

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


class Deleted:
    """CloudFormation that lists deleted stacks; their events end with their deletion."""

    def __init__(self, seconds_ago: dict[str, float], is_denied: bool = False) -> None:
        self.seconds_ago, self.is_denied = seconds_ago, is_denied

    def get_paginator(self, operation: str) -> "Deleted":
        assert operation == "list_stacks"
        return self

    def paginate(self, *, StackStatusFilter: list[str], PaginationConfig: dict[str, int]) -> Any:
        assert StackStatusFilter == ["DELETE_COMPLETE"]
        if self.is_denied:
            raise error("ListStacks", 403, "AccessDenied")
        for name in self.seconds_ago:
            began = NOW - timedelta(seconds=500)
            stack = {"StackName": name, "StackId": f"arn:{name}", "DeletionTime": began}
            yield {"StackSummaries": [stack]}

    def describe_stack_events(self, *, StackName: str) -> Any:
        ended = NOW - timedelta(seconds=self.seconds_ago[StackName.removeprefix("arn:")])
        events = [{"Timestamp": ended}, {"Timestamp": ended - timedelta(seconds=90)}]
        return {"StackEvents": events}


@pytest.mark.parametrize(
    ("seconds_ago", "waited"),
    [
        ({}, []),
        ({"sortbox-dev": 12}, [48]),
        ({"sortbox-dev": 61}, []),
        ({"sortbox-prod": 3}, []),
        ({"sortbox-prod": 3, "sortbox-dev": 59}, [1]),
    ],
)
def test_the_rest_of_the_minute_is_waited_for_with_a_sentence(
    seconds_ago: dict[str, float], waited: list[float]
) -> None:
    cloudformation: Any = Deleted(seconds_ago)
    sentences: list[str] = []
    sleeps: list[float] = []
    wait_until_free(
        cloudformation, "sortbox-dev", sentences.append, now=lambda: NOW, sleep=sleeps.append
    )
    assert sleeps == waited
    assert len(sentences) == len(waited)
    assert all(
        "SQS gives the names of its queues out again after 60 s" in each for each in sentences
    )


def test_who_may_not_list_stacks_deploys_all_the_same() -> None:
    cloudformation: Any = Deleted({"sortbox-dev": 1}, is_denied=True)
    sleeps: list[float] = []
    wait_until_free(cloudformation, "sortbox-dev", print, now=lambda: NOW, sleep=sleeps.append)
    assert sleeps == []
