"""Rate limits per uploader, so that one large upload does not delay everybody else's images.

Each process counts the uploads of each uploader in the current and the previous minute. While one
of the two counts exceeds the limit, the uploader's messages are moved to the backlog queue. A move
takes a few milliseconds instead of a classification, so others wait only for the moves.

The counts are not shared between processes: each process sees a random sample of the messages.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

WINDOW_SECONDS = 60

ALLOWANCES_PER_IDENTITY = 4
"""All sessions of one IAM identity share this many times the limit of one uploader."""

MOST_UPLOADERS = 10_000
"""The most uploaders to keep counts for; the least recent are dropped and start again at 0."""


@dataclass(frozen=True, slots=True)
class Uploader:
    """Who made a request, according to S3's event.

    `principal` is IAM's unique id, followed by the session name for an assumed role. Session name
    and source address can be chosen freely: they distinguish uploaders, but only the id limits one
    who varies them on purpose.
    """

    principal: str = ""
    address: str = ""

    @property
    def identity(self) -> str:
        """The principal without its session: `AROAEXAMPLE` of `AWS:AROAEXAMPLE:session`."""
        first = self.principal.removeprefix("AWS:").partition(":")[0]
        is_iams = self.principal.startswith("AWS:") or first.startswith("AROA")
        return first if is_iams else self.principal

    @property
    def group(self) -> str:
        """The identity as an SQS message group: at most 128 letters and digits."""
        return hashlib.sha256(self.identity.encode()).hexdigest()[:32]


UNKNOWN_UPLOADER = Uploader()
"""For events without an identity: all of their uploads count as one uploader's."""


class Allowances:
    """Counts uploads; `uploads_per_minute` is the limit of one uploader in this process."""

    def __init__(self, uploads_per_minute: int, now: Callable[[], float] = time.time) -> None:
        self._uploads_per_minute = uploads_per_minute
        self._now = now
        self._uploaders = UploadCounts()
        self._identities = UploadCounts()
        self._lock = Lock()

    def has_more(self, uploader: Uploader) -> bool:
        """Count an upload, and return whether it is within the limits."""
        window = int(self._now() // WINDOW_SECONDS)
        with self._lock:
            return self._uploaders.add(uploader, window) <= self._uploads_per_minute and (
                self._identities.add(uploader.identity, window)
                <= ALLOWANCES_PER_IDENTITY * self._uploads_per_minute
            )


class UploadCounts:
    """Counts per key in the current and the previous window; the least recent keys are dropped."""

    def __init__(self) -> None:
        self._counts: OrderedDict[object, tuple[int, int, int]] = OrderedDict()

    def add(self, key: object, window: int) -> int:
        """Count one more in `window`; returns the larger count of this window and the last."""
        at, count, before = self._counts.pop(key, (window, 0, 0))
        if at != window:
            count, before = 0, count if at == window - 1 else 0
        self._counts[key] = (window, count + 1, before)
        while len(self._counts) > MOST_UPLOADERS:
            self._counts.popitem(last=False)
        return max(count + 1, before)
