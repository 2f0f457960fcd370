"""Put the dead letters of a queue back into it, once what made them fail is mended.

SQS has an operation for that, StartMessageMoveTask, which takes the dead-letter queues of other
queues only: not those of a rule of EventBridge, which the events of jobs have. So messages are
received, sent and deleted here, ten at a time. An interrupt in between leaves a message in both
queues, which is harmless: every message may come twice.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from domain.errors import SortboxError
from infra import interrupt
from infra.diagnostics.findings import DEAD_LETTERS
from infra.stage import Stage

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient
    from types_boto3_sqs.type_defs import MessageTypeDef

BATCH_MESSAGES = 10
BATCH_BYTES = 200_000
"""Less than the 262,144 bytes that SQS accepts in a batch, for attributes and ids."""

EMPTY_LOOKS = 2
WAIT_SECONDS = 1
MAX_MESSAGES = 100_000
"""Of one command, which takes some ten minutes; the next one goes on."""


class RedriveError(SortboxError):
    """Messages could not be put back; the message is for the user."""


def redrive(sqs: "SQSClient", stage: Stage, name: str) -> Iterator[str]:
    """Move what is in the dead-letter queue of `name` now. Yields the lines to print.

    Raises RedriveError where the queues do not exist, or SQS did not accept a message.
    """
    try:
        source = sqs.get_queue_url(QueueName=stage.queue(f"{name}-dead"))["QueueUrl"]
        target = sqs.get_queue_url(QueueName=stage.queue(DEAD_LETTERS[name]))["QueueUrl"]
    except sqs.exceptions.QueueDoesNotExist as error:
        raise RedriveError(f"Stage {stage.name} has no queue {name}: is it deployed?") from error
    attributes = sqs.get_queue_attributes(
        QueueUrl=source, AttributeNames=["ApproximateNumberOfMessages"]
    )["Attributes"]
    count = min(int(attributes["ApproximateNumberOfMessages"]), MAX_MESSAGES)
    interrupt.leaves("redrive", "What was not put back is still among the dead letters.")
    moved = empty = 0
    while moved < count and empty < EMPTY_LOOKS:
        messages = sqs.receive_message(
            QueueUrl=source,
            MaxNumberOfMessages=BATCH_MESSAGES,
            MessageAttributeNames=["All"],
            WaitTimeSeconds=WAIT_SECONDS,
        ).get("Messages", [])
        empty = 0 if messages else empty + 1
        for batch in _batches(messages):
            moved += _move(sqs, source, target, batch)
    interrupt.leaves("redrive", "")
    yield f"Put back into {stage.queue(DEAD_LETTERS[name])}: {moved:,} of {count:,}."
    if moved < count:
        yield "The others are being worked on, or come up in a minute: run the command again."


def _batches(messages: "Sequence[MessageTypeDef]") -> "Iterator[list[MessageTypeDef]]":
    batch: list[MessageTypeDef] = []
    size = 0
    for message in messages:
        length = len(message.get("Body", "").encode())
        if batch and size + length > BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(message)
        size += length
    if batch:
        yield batch


def _move(sqs: "SQSClient", source: str, target: str, messages: "Sequence[MessageTypeDef]") -> int:
    """Send, and then delete what was accepted; how many. Raises RedriveError."""
    entries: list[Any] = [
        {
            "Id": str(number),
            "MessageBody": message["Body"],
            "MessageAttributes": message.get("MessageAttributes", {}),
        }
        for number, message in enumerate(messages)
    ]
    reply = sqs.send_message_batch(QueueUrl=target, Entries=entries)
    accepted = [entry["Id"] for entry in reply.get("Successful", [])]
    if accepted:
        sqs.delete_message_batch(
            QueueUrl=source,
            Entries=[
                {"Id": number, "ReceiptHandle": messages[int(number)]["ReceiptHandle"]}
                for number in accepted
            ],
        )
    if refused := reply.get("Failed", []):
        raise RedriveError(
            f"SQS did not accept {len(refused)} messages: {refused[0].get('Message', '')}. They "
            "stay among the dead letters."
        )
    return len(accepted)
