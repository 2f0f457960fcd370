"""How much of the quick lane an uploader may have: who drops a great many at once takes the other.

Each process counts the last minute's uploads, by whoever made them. With more than an allowance of
them an uploader is noisy, until a whole minute passes in which it is not; while it is noisy, its
uploads are moved to the backlog queue, which costs some milliseconds each in place of an answer. So
nobody waits behind a million images of somebody else, only behind the moving of them.

Nothing is shared between processes: each sees a part of the uploads that is as good as any other.
"""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

WINDOW_SECONDS = 60

ALLOWANCES_PER_IDENTITY = 4
"""Allowances that all who upload with one IAM identity have together."""

MOST_UPLOADERS = 10_000
"""Uploaders beyond the last so many are forgotten, and have a new allowance."""


@dataclass(frozen=True, slots=True)
class Uploader:
    """Who made a request, as S3's event tells it.

    `principal` is IAM's unique id, with the name of the session where a role was assumed. Whoever
    assumes a role may choose that name, and anybody may come from another address: they tell people
    apart, and only the id before them binds somebody who does not want to be told apart.
    """

    principal: str = ""
    address: str = ""

    @property
    def identity(self) -> str:
        """`AWS:AROAEXAMPLE:session`, or `AROAEXAMPLE:session`, without its session."""
        first = self.principal.removeprefix("AWS:").partition(":")[0]
        is_iams = self.principal.startswith("AWS:") or first.startswith("AROA")
        return first if is_iams else self.principal

    @property
    def group(self) -> str:
        """The identity as an SQS message group: at most 128 letters and digits."""
        return hashlib.sha256(self.identity.encode()).hexdigest()[:32]


UNKNOWN_UPLOADER = Uploader()
"""Of an event that does not tell: all such uploads are one uploader's."""


class Allowances:
    """`uploads_per_minute`: what one uploader may send before this process calls it noisy."""

    def __init__(self, uploads_per_minute: int, now: Callable[[], float] = time.time) -> None:
        self._uploads_per_minute = uploads_per_minute
        self._now = now
        self._uploaders = UploadCounts()
        self._identities = UploadCounts()
        self._lock = Lock()

    def has_more(self, uploader: Uploader) -> bool:
        """Whether this upload is within the allowances; it is counted either way."""
        window = int(self._now() // WINDOW_SECONDS)
        with self._lock:
            return self._uploaders.add(uploader, window) <= self._uploads_per_minute and (
                self._identities.add(uploader.identity, window)
                <= ALLOWANCES_PER_IDENTITY * self._uploads_per_minute
            )


class UploadCounts:
    """The larger of this minute's count and the last one's, by key; the oldest keys are dropped."""

    def __init__(self) -> None:
        self._counts: OrderedDict[object, tuple[int, int, int]] = OrderedDict()

    def add(self, key: object, window: int) -> int:
        at, count, before = self._counts.pop(key, (window, 0, 0))
        if at != window:
            count, before = 0, count if at == window - 1 else 0
        self._counts[key] = (window, count + 1, before)
        while len(self._counts) > MOST_UPLOADERS:
            self._counts.popitem(last=False)
        return max(count + 1, before)
