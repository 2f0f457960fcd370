"""The names of deleted queues, which SQS gives out again after a minute.

"You must wait 60 seconds after deleting a queue before you can create another queue with the same
name" (botocore's service model, QueueDeletedRecently).
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from types_boto3_cloudformation import CloudFormationClient

FREE_AFTER_SECONDS = 60

LONGEST_DELETION_SECONDS = 3600
"""A stack's deletion takes minutes."""

MAX_STACKS = 1_000
"""Deleted stacks are listed for 90 days; of an account that deletes many, so many are read."""


def wait_until_free(
    cloudformation: "CloudFormationClient",
    stack: str,
    say: Callable[[str], None],
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """`stack` is about to be created; where it was deleted a moment ago, its queues' names wait.

    Who may not list stacks does not wait: CloudFormation then says what SQS says.
    """
    try:
        since = now() - timedelta(seconds=LONGEST_DELETION_SECONDS)
        deleted = _deleted(cloudformation, stack, since)
        ends = [_end(cloudformation, stack_id) for stack_id in deleted]
    except ClientError:
        return
    passed = min(((now() - end).total_seconds() for end in ends), default=FREE_AFTER_SECONDS)
    if passed < FREE_AFTER_SECONDS:
        left = FREE_AFTER_SECONDS - passed
        say(
            f"{stack} was deleted {passed:.0f} s ago, and SQS gives the names of its queues out "
            f"again after {FREE_AFTER_SECONDS} s: waiting {left:.0f} s"
        )
        sleep(left)


def _deleted(cloudformation: "CloudFormationClient", stack: str, since: datetime) -> list[str]:
    """The ids of the stacks that had this name and whose deletion was asked for after `since`."""
    pages = cloudformation.get_paginator("list_stacks").paginate(
        StackStatusFilter=["DELETE_COMPLETE"], PaginationConfig={"MaxItems": MAX_STACKS}
    )
    summaries = (summary for page in pages for summary in page["StackSummaries"])
    return [
        item["StackId"]
        for item in summaries
        if item["StackName"] == stack and item.get("DeletionTime", since) > since
    ]


def _end(cloudformation: "CloudFormationClient", stack_id: str) -> datetime:
    """When it was gone: DeletionTime may be the time at which that was asked for."""
    events = cloudformation.describe_stack_events(StackName=stack_id)["StackEvents"]
    return max(event["Timestamp"] for event in events)
