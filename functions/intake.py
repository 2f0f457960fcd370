"""One invocation's messages taken in side by side, each with a fate of its own."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.batch import (
    AsyncBatchProcessor,
    EventType,
    async_process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from botocore.exceptions import BotoCoreError, ClientError

from functions.backoff import wait_seconds
from functions.runtime import Event, count, in_thread, logger

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient


@dataclass(frozen=True, slots=True)
class Intake:
    """`accept` handles one record, or raises: then the record waits longer each time it fails."""

    sqs: "SQSClient"
    queue_url: str
    retry_base_seconds: int
    accept: Callable[[SQSRecord], None]

    def __call__(self, event: Event) -> Any:
        """The item failures, as `ReportBatchItemFailures` wants them."""
        count("Messages", len(event["Records"]))
        return async_process_partial_response(event, self._take, _Retrying(self))

    async def _take(self, record: SQSRecord) -> None:
        logger.thread_safe_append_keys(message_id=record.message_id, receives=receives(record))
        await asyncio.wrap_future(in_thread(self.accept, record))

    def put_off(self, record: SQSRecord) -> None:
        count("Retried")
        seconds = wait_seconds(self.retry_base_seconds, receives(record))
        try:
            self.sqs.change_message_visibility(
                QueueUrl=self.queue_url,
                ReceiptHandle=record.receipt_handle,
                VisibilityTimeout=seconds,
            )
        except (BotoCoreError, ClientError) as error:
            # It comes back when its visibility ends, only later than it might.
            logger.warning("could not put a message off", error=str(error))


def receives(record: SQSRecord) -> int:
    return int(record.attributes.approximate_receive_count)


class _Retrying(AsyncBatchProcessor):
    def __init__(self, intake: Intake) -> None:
        super().__init__(EventType.SQS, raise_on_entire_batch_failure=False)
        self._intake = intake

    def failure_handler(self, record: Any, exception: Any) -> Any:
        logger.warning("a message failed and will be tried again", exc_info=exception)
        self._intake.put_off(record)
        return super().failure_handler(record, exception)
