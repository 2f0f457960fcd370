"""Messages of ours, sent."""

from typing import TYPE_CHECKING

from functions.messages import Changed, LookAgain, OurMessage, to_json
from functions.runtime import logger

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

LOOK_AGAIN_SECONDS = (60, 300, 900)
"""A new endpoint answers before the pointer to it moves; a promotion waits minutes in between."""


def send(sqs: "SQSClient", queue_url: str, message: OurMessage, delay_seconds: int = 0) -> None:
    sqs.send_message(QueueUrl=queue_url, MessageBody=to_json(message), DelaySeconds=delay_seconds)


def move(sqs: "SQSClient", backlog_queue_url: str, change: Changed) -> None:
    """To the backlog, where SQS gives each group its share: it is a fair queue by that."""
    sqs.send_message(
        QueueUrl=backlog_queue_url,
        MessageBody=to_json(change),
        MessageGroupId=change.uploader.group,
    )


def look_again(sqs: "SQSClient", inbox_queue_url: str, times: int, key: str) -> None:
    """Queue `key` to be looked at later, where it was looked at again fewer than three `times`."""
    if times >= len(LOOK_AGAIN_SECONDS):
        logger.warning("kept an answer by a model that is not active", key=key)
        return
    send(sqs, inbox_queue_url, LookAgain(key, times + 1), LOOK_AGAIN_SECONDS[times])
