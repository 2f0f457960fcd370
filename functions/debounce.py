"""Debounce a folder: its run begins once no image has arrived for the quiet time.

An upload writes the folder's debounce object with a new nonce and sends a delayed message, the
quiet timer, with the same nonce. When the timer arrives and the nonce has changed, a later upload
has sent a later timer, and this one is ignored.

A folder that never is quiet would never be answered. The first upload after a run began therefore
creates a waiting object, and once that is older than the longest wait, the next timer begins a run.
The object is deleted after the run begins and before it lists the folder, so that later uploads
create a new one.
"""

import json
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING

from aws.bucket import Bucket
from domain.keys import debounce_key, waiting_key
from domain.scope import Scope
from functions.messages import QuietTimer
from functions.sqs import LONGEST_DELAY_SECONDS, send

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client
    from types_boto3_sqs.client import SQSClient

MOST_FOLDERS = 1_000
"""The most folders to remember; a forgotten one is debounced more often than needed."""


def _new_nonce() -> str:
    return secrets.token_hex(5)


class Debouncer:
    """Debounces each folder at most once in 10 s, or in half the quiet time, in this process.

    Uses the wall clock: the monotonic clock of a frozen Lambda may stop, and a debounce would then
    be skipped as too recent.
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

    def debounce(self, folder: Scope, seconds: int | None = None) -> None:
        """Write the waiting and debounce objects, send the timer, and remember the time.

        The timer arrives after the quiet time, or after `seconds`. In this order, so that a retry
        after a failure in between repeats everything.
        """
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
        delay = self._quiet_seconds if seconds is None else min(seconds, LONGEST_DELAY_SECONDS)
        send(self._sqs, self._folder_queue_url, quiet, delay)
        self._remember(folder.path, now)

    def _wait(self, folder: Scope) -> None:
        """Create the waiting object, unless an earlier upload has created it."""
        body = json.dumps({"path": folder.path}).encode()
        Bucket(self._s3, self._bucket).create(waiting_key(folder.token), body)

    def is_recent(self, folder: Scope) -> bool:
        """Whether this process debounced the folder so recently that `debounce` does nothing."""
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
    """Whether no upload has sent a later timer. An expired debounce object counts as none."""
    return last_timer(s3, bucket, Scope(timer.path)) in (timer, None)


def waited_seconds(s3: "S3Client", bucket: str, folder: Scope, now: datetime) -> float | None:
    """For how long images have waited for a run, by S3's LastModified; None if none waits."""
    waiting = Bucket(s3, bucket).head(waiting_key(folder.token))
    return None if waiting is None else (now - waiting.listed.last_modified).total_seconds()


def is_overdue(
    s3: "S3Client", bucket: str, folder: Scope, now: datetime, longest_wait_seconds: int
) -> bool:
    """Whether the folder has waited for a run for `longest_wait_seconds`, by S3's LastModified."""
    waited = waited_seconds(s3, bucket, folder, now)
    return waited is not None and waited >= longest_wait_seconds


def stop_waiting(s3: "S3Client", bucket: str, folder: Scope) -> None:
    """Delete the waiting object; call it after a run has begun and before it lists the folder.

    If it is called later, an image that arrived in between waits for the next upload.
    """
    s3.delete_object(Bucket=bucket, Key=waiting_key(folder.token))


def last_timer(s3: "S3Client", bucket: str, folder: Scope) -> QuietTimer | None:
    """The folder's latest timer; None if it has expired or never existed."""
    stored = Bucket(s3, bucket).read(debounce_key(folder.token))
    return QuietTimer(folder.path, json.loads(stored.body)["nonce"]) if stored else None
