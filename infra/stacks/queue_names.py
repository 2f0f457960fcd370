"""Wait until SQS releases the names of deleted queues, which takes a minute.

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
"""An upper bound; deleting a stack takes minutes."""

MAX_STACKS = 1_000
"""The most deleted stacks that are read. CloudFormation lists them for 90 days."""


def wait_until_free(
    cloudformation: "CloudFormationClient",
    stack: str,
    say: Callable[[str], None],
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait before creating `stack` if a stack of this name was deleted in the last minute.

    Without permission to list stacks there is no wait: CloudFormation then reports the error of
    SQS.
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
    """The ids of the stacks of this name whose deletion was requested after `since`."""
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
    """When the deletion ended. DeletionTime is not used: it may be the time of the request."""
    events = cloudformation.describe_stack_events(StackName=stack_id)["StackEvents"]
    return max(event["Timestamp"] for event in events)
