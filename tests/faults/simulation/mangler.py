"""Between S3's notifications and the inbox queue: events twice, late, out of order, or never."""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

LATE_SECONDS = 10


@contextmanager
def notified_instead(s3: Any, sqs: Any, bucket: str) -> Iterator[str]:
    """A queue of one's own, which the bucket notifies in place of all others."""
    before = s3.get_bucket_notification_configuration(Bucket=bucket)
    before.pop("ResponseMetadata")
    queue = sqs.create_queue(QueueName="mangled")["QueueUrl"]
    about = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    allow = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [allow | {"Resource": about["QueueArn"]}]}
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"Policy": json.dumps(policy)})
    changed = json.loads(json.dumps(before))
    for each in changed["QueueConfigurations"]:
        each["QueueArn"] = about["QueueArn"]
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=changed)
    try:
        yield queue
    finally:
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=before)
        sqs.delete_queue(QueueUrl=queue)


@dataclass
class Mangler:
    """Takes from a queue of its own, which the bucket notifies instead."""

    s3: Any
    sqs: Any
    bucket: str
    inbox: str
    repeated: float = 0.10
    reordered: float = 0.05
    lost: float = 0.0
    seed: int = 1
    counts: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def mangling(self) -> Iterator["Mangler"]:
        with notified_instead(self.s3, self.sqs, self.bucket) as self.queue:
            over = threading.Event()
            thread = threading.Thread(target=self._run, args=(over,), name="mangler", daemon=True)
            thread.start()
            try:
                yield self
            finally:
                over.set()
                thread.join()

    def is_empty(self) -> bool:
        names = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
        found = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=[*names])
        return not any(int(found["Attributes"][name]) for name in names)

    def _run(self, over: threading.Event) -> None:
        random = Random(self.seed)
        while not over.is_set():
            taken = self.sqs.receive_message(
                QueueUrl=self.queue, MaxNumberOfMessages=10, WaitTimeSeconds=1
            ).get("Messages", [])
            entries = [entry for message in taken for entry in self._entries(random, message)]
            for start in range(0, len(entries), 10):
                self._send(entries[start : start + 10])
            handles = [
                {"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(taken)
            ]
            if handles:
                self.sqs.delete_message_batch(QueueUrl=self.queue, Entries=handles)

    def _entries(self, random: Random, message: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if random.random() < self.lost:
            self.counts["lost"] += 1
            return
        copies = 1 + (random.random() < self.repeated)
        self.counts["repeated"] += copies - 1
        for _ in range(copies):
            is_late = random.random() < self.reordered
            self.counts["reordered"] += is_late
            self.counts["sent"] += 1
            delay = random.randint(1, LATE_SECONDS) if is_late else 0
            yield {"MessageBody": message["Body"], "DelaySeconds": delay}

    def _send(self, entries: list[dict[str, Any]]) -> None:
        numbered = [entry | {"Id": str(number)} for number, entry in enumerate(entries)]
        self.sqs.send_message_batch(QueueUrl=self.inbox, Entries=numbered)
