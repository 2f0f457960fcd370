"""Queues as SQS keeps them: at least once, in any order, hidden while somebody works on them."""

import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

MOST_RECEIVES = 500
NEW_CHAIN: Mapping[str, int] = {}

LEFT_OUT_RECEIVES = 3
"""ApproximateAgeOfOldestMessage passes over what was received so often: "the message is moved to
the back of the queue and the … metric points at the second-oldest message that hasn't been received
more than three times" (SQS developer guide, "Available CloudWatch metrics")."""


@dataclass
class Message:
    body: str
    sent_at: float = 0.0
    chain: Mapping[str, int] = field(default_factory=dict)
    """How often each function is in the chain of requests that sent it."""
    receives: int = 0
    turn: int = 0
    """Which of its entries in the heap counts; the earlier ones are outdated."""
    handle: str = ""


@dataclass
class Queue:
    """Bounded by what is under way; `dead` are the bodies that were received too often."""

    url: str
    visibility: float
    now: Callable[[], float]
    dead: list[str] = field(default_factory=list)
    sent: int = 0
    _waiting: list[tuple[float, int, Message]] = field(default_factory=list)
    _held: dict[str, Message] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def send(self, body: str, delay: float = 0, chain: Mapping[str, int] = NEW_CHAIN) -> None:
        self.sent += 1
        self._queue(Message(body, self.now(), chain), self.now() + delay)

    def next_at(self) -> float | None:
        """When the next message becomes visible."""
        while self._waiting and self._waiting[0][1] != self._waiting[0][2].turn:
            heapq.heappop(self._waiting)
        return self._waiting[0][0] if self._waiting else None

    def receive(self, most: int) -> list[Message]:
        taken: list[Message] = []
        while len(taken) < most and (at := self.next_at()) is not None and at <= self.now():
            message = self._waiting[0][2]
            self._held.pop(message.handle, None)
            message.receives += 1
            if message.receives > MOST_RECEIVES:
                heapq.heappop(self._waiting)
                self.dead.append(message.body)
                continue
            self._queue(message, self.now() + self.visibility)
            message.handle = str(message.turn)
            self._held[message.handle] = message
            taken.append(message)
        return taken

    def age_of_oldest(self, now: float) -> float:
        """As CloudWatch has it: of messages that were hardly tried yet."""
        sent = [
            message.sent_at
            for _, turn, message in self._waiting
            if turn == message.turn and message.receives < LEFT_OUT_RECEIVES
        ]
        return max(0.0, now - min(sent)) if sent else 0.0

    def delete(self, handle: str) -> None:
        """A handle that was received again since is no longer good for anything."""
        if message := self._held.pop(handle, None):
            message.turn = 0

    def hide(self, handle: str, seconds: float) -> None:
        if message := self._held.get(handle):
            self._queue(message, self.now() + seconds)

    def _queue(self, message: Message, at: float) -> None:
        message.turn = next(self._numbers)
        heapq.heappush(self._waiting, (at, message.turn, message))


@dataclass
class Queues:
    """boto3's SQS client over these queues; `before` may raise."""

    all: dict[str, Queue]
    before: Callable[[str, str], None]
    after: Callable[[str, str], None]
    chain: Callable[[], Mapping[str, int]] = dict

    def send_message(
        self, *, QueueUrl: str, MessageBody: str, DelaySeconds: int = 0, MessageGroupId: str = ""
    ) -> dict[str, Any]:
        self.before("SendMessage", QueueUrl)
        self.all[QueueUrl].send(MessageBody, DelaySeconds, self.chain())
        self.after("SendMessage", QueueUrl)
        return {}

    def change_message_visibility(
        self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int
    ) -> dict[str, Any]:
        self.before("ChangeMessageVisibility", QueueUrl)
        self.all[QueueUrl].hide(ReceiptHandle, VisibilityTimeout)
        return {}


def event(messages: list[Message]) -> list[dict[str, Any]]:
    """The records of a Lambda's event."""
    return [
        {
            "messageId": message.handle,
            "receiptHandle": message.handle,
            "body": message.body,
            "attributes": {"ApproximateReceiveCount": str(message.receives)},
            "eventSource": "aws:sqs",
        }
        for message in messages
    ]
