"""Process a batch of SQS messages concurrently; each succeeds or fails on its own."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import random
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import (
    AsyncBatchProcessor,
    EventType,
    async_process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from botocore.exceptions import BotoCoreError, ClientError

from functions.messages import Changed, LookAgain, OurMessage, to_json
from functions.runtime import Event, count, in_thread, logger

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient


@dataclass(frozen=True, slots=True)
class SqsBatch:
    """Calls `accept` for each record; if it raises, the record is retried after a growing delay."""

    sqs: "SQSClient"
    queue_url: str
    retry_base_seconds: int
    accept: Callable[[SQSRecord], None]

    def __call__(self, event: Event) -> Any:
        """Process a Lambda event; returns the failures for `ReportBatchItemFailures`."""
        count("Messages", len(event["Records"]))
        return async_process_partial_response(event, self._take, _Retrying(self))

    async def _take(self, record: SQSRecord) -> None:
        logger.thread_safe_append_keys(message_id=record.message_id, receives=receives(record))
        await asyncio.wrap_future(in_thread(self.accept, record))

    def set_visibility(self, record: SQSRecord) -> None:
        """Delay the next receive of a record that failed."""
        count("Retried")
        seconds = wait_seconds(self.retry_base_seconds, receives(record))
        try:
            self.sqs.change_message_visibility(
                QueueUrl=self.queue_url,
                ReceiptHandle=record.receipt_handle,
                VisibilityTimeout=seconds,
            )
        except (BotoCoreError, ClientError) as error:
            # The message is retried after the queue's own visibility timeout, which is longer.
            logger.warning("could not put a message off", error=str(error))


def receives(record: SQSRecord) -> int:
    """How often SQS has delivered this message; 1 the first time."""
    return int(record.attributes.approximate_receive_count)


class _Retrying(AsyncBatchProcessor):
    def __init__(self, intake: SqsBatch) -> None:
        super().__init__(EventType.SQS, raise_on_entire_batch_failure=False)
        self._intake = intake

    def failure_handler(self, record: Any, exception: Any) -> Any:
        logger.warning("a message failed and will be tried again", exc_info=exception)
        self._intake.set_visibility(record)
        return super().failure_handler(record, exception)


LONGEST_WAIT_SECONDS = 90


def wait_seconds(base_seconds: int, receives: int, chance: Callable[[], float] = random) -> int:
    """The delay before a failed message is received again, in seconds.

    It doubles with every receive (`receives` counts from 1) up to 90 s, and is randomised over its
    upper half. Every message is therefore retried within 90 s after an outage ends. The delays of a
    queue's 500 receives add up to between six and twelve hours.
    """
    doubled = min(LONGEST_WAIT_SECONDS, base_seconds << min(receives - 1, 10))
    return max(1, round(doubled * (0.5 + chance() / 2)))


LOOK_AGAIN_SECONDS = (60, 300, 900)
"""Delays before a key is examined again. During a promotion the new model answers some minutes
before the pointer is moved to it."""


LONGEST_DELAY_SECONDS = 900
"""SQS's maximum of a message's delay."""


def send(sqs: "SQSClient", queue_url: str, message: OurMessage, delay_seconds: int = 0) -> None:
    """Send one of our messages, which is delivered after `delay_seconds` (at most 900)."""
    sqs.send_message(QueueUrl=queue_url, MessageBody=to_json(message), DelaySeconds=delay_seconds)


def move_to_backlog(sqs: "SQSClient", backlog_queue_url: str, change: Changed) -> None:
    """Move a message to the backlog queue, a fair queue: each message group gets its share."""
    sqs.send_message(
        QueueUrl=backlog_queue_url,
        MessageBody=to_json(change),
        MessageGroupId=change.uploader.group,
    )


def look_again(sqs: "SQSClient", inbox_queue_url: str, times: int, key: str) -> None:
    """Queue `key` to be examined again later, unless that has been done three `times`."""
    if times >= len(LOOK_AGAIN_SECONDS):
        logger.warning("kept an answer by a model that is not active", key=key)
        return
    send(sqs, inbox_queue_url, LookAgain(key, times + 1), LOOK_AGAIN_SECONDS[times])
