"""A history that the state machine failed by, played in the deployed cloud.

`python -m tests.faults.cloud.replay .local/failures/publishing.json` starts a cloud, plays and
checks.

S3's events are held back, and each is delivered when the history says so. What came between two
calls of a worker comes between them here too: the proxy holds the call until it is done. A job is
a run of the folder, begun when the history collects what the job has read. Promotions are not
played: they would be another deployment; and a worker that dies is killed as it makes the call.
"""

import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.faults.cloud.deployed import Deployed
from tests.faults.cloud.proxy import Rule, Service
from tests.faults.simulation.mangler import notified_instead
from tests.support.worlds.acts import (
    Collect,
    Deliver,
    Die,
    History,
    Meanwhile,
    Promote,
    Remove,
    Repeat,
    Rest,
    Step,
    Upload,
)

VARIABLE = "SORTBOX_HISTORY"
ITS_TEST = "tests/faults/test_replay.py::test_a_history_is_played_in_the_cloud"
FOLDER = "trip"
REST_SECONDS = 120.0
HOLD_SECONDS = 10.0
NESTED_SECONDS = 3.0
"""So long a call is held for a message that is to be handled before it: the emulator may be waiting
for the very worker that makes the call."""


@dataclass
class Replay:
    deployed: Deployed
    held: list[str] = field(default_factory=list)
    pending: Meanwhile = field(default_factory=dict)
    calls: int = 0
    played: list[str] = field(default_factory=list)
    _lock: Any = field(default_factory=threading.RLock)

    def play(self, history: History) -> None:
        with self._between():
            for step, meanwhile in history:
                with self._lock:
                    self.pending, self.calls = dict(meanwhile), 0
                self._take(step)
                if isinstance(step, Deliver | Collect | Rest):
                    self._rest()
            self._end()

    @contextmanager
    def _between(self) -> Iterator[None]:
        cloud = self.deployed.cloud
        with (
            self.deployed.forgetful_queues(),
            notified_instead(cloud.s3, cloud.sqs, cloud.bucket) as self._queue,
            self.deployed.behind() as proxy,
        ):
            proxy.interrupt = self._before_call
            yield

    def _before_call(self, service: Service, call: str) -> Rule | None:
        if service != "s3" or not re.search(r"/(inbox|outbox)/[^_]*\.jpg", call):
            return None
        with self._lock:
            self.calls += 1
            steps = self.pending.pop(self.calls, ())
        for step in steps:
            if isinstance(step, Die):
                self.played.append("Die")
                return Rule("kill", "s3")
            self._take(step)
            if isinstance(step, Deliver):
                self._rest(NESTED_SECONDS)
        return None

    def _take(self, step: Step) -> None:
        self.played.append(type(step).__name__)
        match step:
            case Upload(key, content):
                self.deployed.cloud.drop(key, content.replace(b"junk", b"BAD"))
                self._hold()
            case Remove(key):
                self.deployed.cloud.remove(key)
                self._hold()
            case Deliver(choice) if self.held:
                self._deliver(self.held.pop(choice % len(self.held)))
            case Repeat(choice) if self.held:
                self.held.append(self.held[choice % len(self.held)])
            case Collect():
                self._run_folder()
            case Promote():
                self.played[-1] = "(Promote)"
            case _:
                pass

    def _hold(self) -> None:
        """Waits until S3 has told of what was just done; its test event tells of nothing."""
        known = len(self.held)
        end = time.monotonic() + HOLD_SECONDS
        while len(self.held) == known:
            if time.monotonic() > end:
                raise AssertionError(f"S3 has not told of the last of {self.played}")
            self.held += self._received()

    def _received(self) -> list[str]:
        sqs = self.deployed.cloud.sqs
        taken = sqs.receive_message(QueueUrl=self._queue, WaitTimeSeconds=1).get("Messages", [])
        for message in taken:
            sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=message["ReceiptHandle"])
        return [each["Body"] for each in taken if "Records" in json.loads(each["Body"])]

    def _deliver(self, body: str) -> None:
        cloud = self.deployed.cloud
        cloud.sqs.send_message(QueueUrl=cloud.queue("inbox"), MessageBody=body)

    def _run_folder(self) -> None:
        self.deployed.cloud.drop(f"inbox/{FOLDER}/_READY")
        self._hold()
        self._deliver(self.held.pop())

    def _rest(self, patience: float = REST_SECONDS) -> None:
        """A folder's timer may be out for a minute: that is nobody's message to wait for."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            found = self.deployed.depths()
            if not (found["inbox"] or found["page"] or found["runs"]):
                return
            time.sleep(0.2)
        if patience == REST_SECONDS:
            raise AssertionError(f"not at rest after {self.played}: {self.deployed.depths()}")

    def _end(self) -> None:
        while self.held:
            self._deliver(self.held.pop())
        self._rest()
        self._run_folder()
        self.deployed.at_rest(REST_SECONDS)


def main(file: str) -> int:
    os.environ[VARIABLE] = os.path.abspath(file)  # noqa: PTH100
    return int(pytest.main(["-q", "-s", "-m", "faults", ITS_TEST]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
