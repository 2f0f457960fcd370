"""Keep the index equal to the outbox: list it, compare ETags, and read what differs.

Work is done in steps of about two seconds, while a page is open. The first answers come from the
tables of the folders, one GET each; every result is read once, the newest first: a million of them
cost a million GETs (0.40 dollars) and about an hour, and meanwhile the tables' rows are shown. The
next listing waits 20 times as long as the last one took, so that listing takes at most 5 % of the
time: at a million answers a listing is 1,000 calls, and comes every half an hour.
"""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from threading import Lock

from botocore.exceptions import BotoCoreError, ClientError

from aws.bucket import Bucket, Listed, StoredObject
from batch.outcome import Predicted, Refusal, from_csv, refusals
from batch.reports.known import ERRORS, PREDICTIONS, Lines
from batch.unreadable import is_certainly_denied
from console.answers.index import (
    AnswerIndex,
    AnswerRow,
    PendingResult,
    check,
    folder_of,
    sortable,
    to_row,
)
from domain import timestamps
from domain.keys import INBOX, LONG, OUTBOX, RESULT_SUFFIX, image_key, result_key
from domain.result import from_json
from domain.route import InFolder, Single, route

STEP_SECONDS = 2.0
READS_AT_ONCE = 8
BATCH = 64
"""Results that are read and stored together."""

TABLE_BATCH = 5_000
SHORTEST_PAUSE_SECONDS = 3.0
PAUSE_FACTOR = 20
RESULT_BYTES = 2**20
"""A larger object is no result: a reply of the container is at most as large."""

Failure = ClientError | BotoCoreError


@dataclass(frozen=True, slots=True)
class FillingState:
    """`answers` are in the index, `pending` have to be read; `is_listed`: the whole outbox has been
    listed since this process began."""

    answers: int
    pending: int
    is_listed: bool
    version: int


class Filling:
    """Fills an index. `now` is a monotonic clock."""

    def __init__(
        self, bucket: Bucket, index: AnswerIndex, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._bucket = bucket
        self._index = index
        self._now = now
        self._lock = Lock()
        self._after: str | None = None
        self._took = 0.0
        self._due_at = now()
        self._is_listed = False

    def refresh(self) -> None:
        """Have the next step list the outbox."""
        self._due_at = self._now()

    def state(self) -> FillingState:
        index = self._index
        return FillingState(index.count(), index.count_pending(), self._is_listed, index.version)

    def step(self, seconds: float = STEP_SECONDS) -> float:
        """Work for about `seconds`: half of it on the listing. Returns the seconds until there is
        more to do.

        Raises errors of S3, after the answers that could be read are stored.
        """
        with self._lock:
            begun = self._now()
            self._list(begun + seconds / 2)
            while self._now() < begun + seconds and (batch := self._index.pending(BATCH)):
                self._read(batch)
            if self._after is not None or self._index.pending(1):
                return 0.01
            return max(self._due_at - self._now(), 0.01)

    def run(self) -> None:
        """One whole listing, and every result that it shows to be read."""
        self.refresh()
        self.step(float("inf"))

    def _list(self, until: float) -> None:
        """Compare page after page until the time is over; the next step goes on."""
        if self._after is None:
            if self._now() < self._due_at:
                return
            self._after, self._took = "", 0.0
        while self._after is not None and self._now() < until:
            begun = self._now()
            page = self._bucket.page(OUTBOX, self._after)
            self._took += self._now() - begun
            for listed in page:
                self._read_table(listed)
            results = [
                PendingResult(listed.key, listed.etag, timestamps.to_text(listed.last_modified))
                for listed in page
                if is_result(listed)
            ]
            last = page[-1].key if page else None
            self._index.compare(results, self._after, last)
            self._after = last
        if self._after is None:
            self._is_listed = True
            self._due_at = self._now() + max(SHORTEST_PAUSE_SECONDS, PAUSE_FACTOR * self._took)

    def _read_table(self, listed: Listed) -> None:
        """The answers in a folder's table or its list of rejections, where it is new."""
        name = listed.key.rpartition("/")[2]
        if name not in (PREDICTIONS, ERRORS) or self._index.is_read(listed.key, listed.etag):
            return
        if listed.size:
            lines = Lines(self._bucket, listed.key, listed.etag, listed.size)
            answers: Iterator[Predicted | Refusal] = (
                from_csv(lines.rows()) if name == PREDICTIONS else refusals(lines.lines())
            )
            folder = INBOX + listed.key[len(OUTBOX) : -len(name)]
            rows = (row for answer in answers if (row := _provisional(answer, folder)))
            while batch := list(islice(rows, TABLE_BATCH)):
                self._index.put_provisional(batch)
        self._index.skip(listed.key, listed.etag)

    def _read(self, batch: list[PendingResult]) -> None:
        rows: list[AnswerRow] = []
        absent: list[str] = []
        failures: list[Failure] = []
        with ThreadPoolExecutor(READS_AT_ONCE) as threads:
            for pending, stored in zip(batch, threads.map(self._fetch, batch), strict=True):
                match stored:
                    case None:
                        absent.append(pending.result)
                    case StoredObject(body, etag):
                        row = _parse(pending.result, body, etag)
                        if row is None:
                            absent.append(pending.result)
                            self._index.skip(pending.result, etag)
                        else:
                            rows.append(row)
                    case ClientError() as denial if is_certainly_denied(denial):
                        self._index.skip(pending.result, pending.etag)
                    case failure:
                        failures.append(failure)
        self._index.put(rows)
        self._index.drop(absent)
        if failures:
            raise failures[0]

    def _fetch(self, pending: PendingResult) -> StoredObject | Failure | None:
        try:
            return self._bucket.read(pending.result)
        except (ClientError, BotoCoreError) as error:
            return error


def is_result(listed: Listed) -> bool:
    """Whether an object of the outbox is the result of an image, by its key and size."""
    if listed.size > RESULT_BYTES:
        return False
    if listed.key.startswith(LONG):
        name = listed.key.removeprefix(LONG)
        return name.endswith(RESULT_SUFFIX) and "/" not in name
    image = image_key(listed.key)
    return image is not None and isinstance(route(image), InFolder | Single)


def _parse(key: str, body: bytes, etag: str) -> AnswerRow | None:
    """None for what is no result, or lies under another image's key."""
    try:
        result = from_json(body)
        return to_row(result, key, etag) if result_key(result.image) == key else None
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def _provisional(answer: Predicted | Refusal, folder: str) -> AnswerRow | None:
    """None for a row that is none of ours: people edit tables."""
    labels = answer.labels if isinstance(answer, Predicted) else ()
    try:
        row = AnswerRow(
            image=answer.image,
            folder=folder_of(answer.image),
            status="classified" if isinstance(answer, Predicted) else "rejected",
            code=answer.code if isinstance(answer, Refusal) else "",
            label=labels[0].label if labels else "",
            score=labels[0].score if labels else None,
            labels=labels,
            decision=(isinstance(answer, Predicted) and answer.decision) or "",
            model=answer.model or "",
            etag=answer.etag,
            classified_at=sortable(answer.at),
            bytes=None,
            width=None,
            height=None,
            format="",
            result=result_key(answer.image),
            result_etag="",
        )
        check(row)
    except (ValueError, TypeError, AttributeError):
        return None
    return row if row.image.startswith(folder) else None
