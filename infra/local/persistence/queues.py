"""Queues of the emulator that write each message to disk as it arrives and as it is deleted.

The emulator appends to a queue's list of messages, and deletes by assigning a new list to the
queue's `messages`. `DurableQueue` and `DurableMessages` replace that dictionary and that list.
"""

import copy
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, SupportsIndex

from infra.local.persistence import disk
from infra.local.persistence.state_database import Message, StateDatabase

Fields = dict[str, Any]
Key = tuple[str, str, str]
ToJson = Callable[[Any], str]
MESSAGES = "messages"


class DurableMessages(list[Fields]):
    """The messages of one queue. The emulator's threads add and delete at the same time."""

    def __init__(self, queue: str, store: StateDatabase, to_json: ToJson) -> None:
        super().__init__()
        self._queue = queue
        self._store = store
        self._to_json = to_json
        self._lock = threading.Lock()
        self._added = 0
        self._numbers: dict[str, int] = {}
        self._look = threading.local()

    def __iter__(self) -> Iterator[Fields]:
        """Over the messages as they are now, so that a deletion meanwhile makes nobody miss one.

        Notes up to which message this thread looks: what comes later, it cannot filter out.
        """
        with self._lock:
            self._look.number = self._added
            return iter(list(super().__iter__()))

    def append(self, message: Fields) -> None:
        with disk.failing():
            self._store.add((self._queue, message["id"], self._to_json(message)))
        with self._lock:
            self._added += 1
            self._numbers[message["id"]] = self._added
            super().append(message)

    def remove(self, message: Fields) -> None:
        super().remove(message)
        self._store.remove(self._queue, [message["id"]])

    def clear(self) -> None:
        with self._lock:
            ids = [message["id"] for message in list(super().__iter__())]
            self._numbers.clear()
            super().clear()
        self._store.remove(self._queue, ids)

    def pop(self, index: SupportsIndex = -1) -> Fields:
        message = super().pop(index)
        self._store.remove(self._queue, [message["id"]])
        return message

    def restore(self, messages: Iterable[Fields]) -> None:
        """Put back what the store holds. A message that somebody was working on is free at once:
        whoever received it has ended with the emulator.
        """
        super().clear()
        for message in messages:
            if message.get("receive_count"):
                message["visible_at"] = min(message["visible_at"], time.time())
            super().append(message)

    def reduce(self, kept: list[Fields]) -> None:
        """Keep only `kept`, which the emulator filtered from this list.

        What another thread has appended since this one looked is kept as well.
        """
        ids, last = {message["id"] for message in kept}, getattr(self._look, "number", self._added)
        with self._lock:
            now = list(super().__iter__())
            left = [
                message
                for message in now
                if message["id"] in ids or self._numbers.get(message["id"], 0) > last
            ]
            gone = {message["id"] for message in now} - {message["id"] for message in left}
            self[:] = left
        for id_ in gone:
            self._numbers.pop(id_, None)
        if gone:
            self._store.remove(self._queue, gone)


class DurableQueue(dict[str, Any]):
    """A queue of the emulator, with durable messages. Copies are without them."""

    def __init__(
        self, name: str, fields: Mapping[str, Any], store: StateDatabase, to_json: ToJson
    ) -> None:
        super().__init__(fields)
        messages = DurableMessages(name, store, to_json)
        for message in fields.get(MESSAGES, ()):
            messages.append(message)
        super().__setitem__(MESSAGES, messages)

    def __setitem__(self, name: str, value: Any) -> None:
        if name != MESSAGES:
            super().__setitem__(name, value)
        elif value is not self[MESSAGES]:  # as long a list may lack another message
            self[MESSAGES].reduce(value)

    def __deepcopy__(self, memo: dict[int, Any]) -> Fields:
        fields = {name: value for name, value in self.items() if name != MESSAGES}
        return {**copy.deepcopy(fields, memo), MESSAGES: []}


class QueueTable(dict[Key, DurableQueue]):
    """All queues, by account, region and URL: what the emulator's own table keeps them in."""

    def __init__(self, store: StateDatabase, to_json: ToJson) -> None:
        super().__init__()
        self._store = store
        self._to_json = to_json

    def __setitem__(self, key: Key, fields: Mapping[str, Any]) -> None:
        super().__setitem__(key, DurableQueue(_name(key), fields, self._store, self._to_json))

    def update(self, others: Mapping[Key, Mapping[str, Any]]) -> None:  # type: ignore[override]
        for key, fields in others.items():
            self[key] = fields

    def pop(self, key: Key, *default: Any) -> Any:
        removed = super().pop(key, *default)
        if isinstance(removed, DurableQueue):
            removed[MESSAGES].clear()
        return removed

    def restore(self) -> None:
        """Give every queue the messages that the store holds for it."""
        stored: dict[str, list[Fields]] = {}
        for name, _, message in self._store.messages():
            stored.setdefault(name, []).append(json.loads(message))
        for key, queue in self.items():
            queue[MESSAGES].restore(stored.pop(_name(key), ()))
        for name, messages in stored.items():  # of queues that no longer exist
            self._store.remove(name, [message["id"] for message in messages])

    def messages(self) -> Iterator[Message]:
        """Every message as it is now, with how often and until when it is received."""
        for key, queue in self.items():
            for message in queue[MESSAGES]:
                yield _name(key), message["id"], self._to_json(message)

    def __deepcopy__(self, memo: dict[int, Any]) -> dict[Key, Fields]:
        return {key: copy.deepcopy(queue, memo) for key, queue in self.items()}


def _name(key: Key) -> str:
    return " ".join(key)
