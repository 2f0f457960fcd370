"""Senders, pollers and API calls at the same time on one queue of the emulator.

It runs in the emulator's environment, and prints one JSON document: what was sent, what is left in
memory and on disk, and which calls failed.
"""

import json
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from random import Random

from ministack.core import persistence
from ministack.services import sqs

from infra.local.persistence.queues import QueueTable
from infra.local.persistence.state_database import StateDatabase

MOST_WAITING = 2_000
SENDERS, FUNCTIONS = 2, 3
HOUR = "3600"


@dataclass
class Traffic:
    """`handles`: what the one thread of the API is to delete (True), or to make visible."""

    url: str
    until: float
    sent: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    batches: SimpleQueue[list[tuple[str, str]]] = field(default_factory=SimpleQueue)
    handles: SimpleQueue[tuple[str, str, bool]] = field(default_factory=SimpleQueue)
    failed: list[str] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.until

    def send(self) -> None:
        while not self.is_over:
            if len(self.sent) - len(self.deleted) > MOST_WAITING:
                time.sleep(0.001)
                continue
            answer = sqs._act_send_message({"QueueUrl": self.url, "MessageBody": "x"}, self.url)
            self.sent.add(answer["MessageId"])

    def poll(self) -> None:
        """As the one thread that receives for all functions."""
        while not self.is_over:
            batch = sqs._receive_messages_for_esm(self.url, 10)
            self.batches.put([(message["id"], message["receipt_handle"]) for message in batch])

    def work(self, random: Random) -> None:
        """As a thread that a function answers: it deletes most, and leaves some to the API."""
        while not self.is_over:
            try:
                batch = self.batches.get(timeout=0.1)
            except Empty:
                continue
            done = [message for message in batch if random.random() < 0.5]
            sqs._delete_messages_for_esm(self.url, {handle for _, handle in done})
            self.deleted |= {id_ for id_, _ in done}
            for id_, handle in set(batch) - set(done):
                self.handles.put((id_, handle, random.random() < 0.5))

    def call(self) -> None:
        """As the thread of the API, which takes no lock of the emulator."""
        while not self.is_over:
            sqs._act_get_queue_attributes({"QueueUrl": self.url}, self.url)
            try:
                id_, handle, is_done = self.handles.get(timeout=0.01)
            except Empty:
                continue
            request = {"QueueUrl": self.url, "ReceiptHandle": handle, "VisibilityTimeout": 0}
            if is_done:
                sqs._act_delete_message(request, self.url)
                self.deleted.add(id_)
            else:
                sqs._act_change_visibility(request, self.url)

    def run(self, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception:
            self.failed.append(traceback.format_exc())


def main(folder: Path, seconds: float) -> None:
    sys.setswitchinterval(1e-5)
    store = StateDatabase(folder / "state.db")
    table = QueueTable(store, lambda value: json.dumps(value, default=persistence._json_default))
    sqs._queues._data = table
    queue = {"QueueName": "inbox", "Attributes": {"VisibilityTimeout": HOUR}}
    traffic = Traffic(sqs._act_create_queue(queue, "")["QueueUrl"], time.monotonic() + seconds)
    acts: list[Callable[[], None]] = [traffic.send] * SENDERS + [traffic.poll, traffic.call]
    acts += [partial(traffic.work, Random(seed)) for seed in range(FUNCTIONS)]
    threads = [threading.Thread(target=traffic.run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {
        "expected": traffic.sent - traffic.deleted,
        "deleted": traffic.deleted,
        "memory": {id_ for _, id_, _ in table.messages()},
        "disk": {id_ for _, id_, _ in store.messages()},
    }
    ids = {name: sorted(ids) for name, ids in found.items()}
    print(json.dumps(ids | {"failed": traffic.failed}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
