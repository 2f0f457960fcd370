"""A folder's signs of life: while it is being filled, its timer keeps being outdated.

A folder that never falls quiet would never be answered. So the first beat since its last run began
leaves an object that says since when the folder has been waiting, and a timer that comes too early
looks at it: at the longest wait the run begins all the same. The object goes when a run has begun,
before that run lists the folder: whatever is dropped later leaves another.
"""

import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Lock
from typing import TYPE_CHECKING

from aws.bucket import Bucket
from domain.keys import debounce_key, waiting_key
from domain.scope import Scope
from functions.messages import QuietTimer
from functions.sqs import send

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client
    from types_boto3_sqs.client import SQSClient

MOST_FOLDERS = 1_000
"""Folders beyond the last thousand are forgotten: they beat more often than they need, no worse."""


def _new_nonce() -> str:
    return secrets.token_hex(5)


class Debouncer:
    """At most one beat a folder in every 10 s (or half its quiet time) of this process.

    Wall clock, not monotonic: a frozen Lambda's monotonic clock may stand still, and a beat that
    is believed to be recent would be the one that nobody sends.
    """

    def __init__(
        self,
        s3: "S3Client",
        bucket: str,
        sqs: "SQSClient",
        folder_queue_url: str,
        quiet_seconds: int,
        now: Callable[[], float] = time.time,
        new_nonce: Callable[[], str] = _new_nonce,
    ) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._sqs = sqs
        self._folder_queue_url = folder_queue_url
        self._quiet_seconds = quiet_seconds
        self._now = now
        self._new_nonce = new_nonce
        self._last: OrderedDict[str, float] = OrderedDict()
        self._lock = Lock()

    def debounce(self, folder: Scope) -> None:
        """The objects, then the timer, then the memory: what fails in between is done again."""
        if self.is_recent(folder):
            return
        now = self._now()
        self._wait(folder)
        quiet = QuietTimer(folder.path, self._new_nonce())
        self._s3.put_object(
            Bucket=self._bucket,
            Key=debounce_key(folder.token),
            Body=json.dumps({"path": quiet.path, "nonce": quiet.nonce}).encode(),
            ContentType="application/json",
        )
        send(self._sqs, self._folder_queue_url, quiet, self._quiet_seconds)
        self._remember(folder.path, now)

    def _wait(self, folder: Scope) -> None:
        """Written by the first beat that no run has begun after; the others leave it as it is."""
        body = json.dumps({"path": folder.path}).encode()
        Bucket(self._s3, self._bucket).create(waiting_key(folder.token), body)

    def is_recent(self, folder: Scope) -> bool:
        """Whether a beat of the folder costs nothing just now."""
        now = self._now()
        with self._lock:
            last = self._last.get(folder.path)
        return last is not None and 0 <= now - last < min(10, self._quiet_seconds / 2)

    def _remember(self, path: str, now: float) -> None:
        with self._lock:
            self._last[path] = now
            self._last.move_to_end(path)
            while len(self._last) > MOST_FOLDERS:
                self._last.popitem(last=False)


def is_quiet(s3: "S3Client", bucket: str, timer: QuietTimer) -> bool:
    """Whether no beat came after this timer's own; a beat that has expired is an old one."""
    return last_timer(s3, bucket, Scope(timer.path)) in (timer, None)


def is_overdue(
    s3: "S3Client", bucket: str, folder: Scope, now: datetime, longest_wait_seconds: int
) -> bool:
    """Whether some image has waited so long for a run to begin; dated by S3, as its object is."""
    waiting = Bucket(s3, bucket).head(waiting_key(folder.token))
    if waiting is None:
        return False
    return now - waiting.listed.last_modified >= timedelta(seconds=longest_wait_seconds)


def stop_waiting(s3: "S3Client", bucket: str, folder: Scope) -> None:
    """To be called when a run has begun and has not listed the folder yet.

    Where it is called later than that, an image that came in between waits for another beat.
    """
    s3.delete_object(Bucket=bucket, Key=waiting_key(folder.token))


def last_timer(s3: "S3Client", bucket: str, folder: Scope) -> QuietTimer | None:
    """The timer of the folder's last beat; None where beats have expired, or there was none."""
    stored = Bucket(s3, bucket).read(debounce_key(folder.token))
    return QuietTimer(folder.path, json.loads(stored.body)["nonce"]) if stored else None
