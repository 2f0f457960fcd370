"""The newest single images of the inbox, with their answers as they come."""

from collections import OrderedDict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from aws.bucket import Bucket, Listed
from domain import result, timestamps
from domain.result import Rejected
from infra.diagnostics.catalog import READS_AT_ONCE, FirstLevel

SHOWN_SINGLES = 50
MOST_CACHED = 500


@dataclass(slots=True)
class Singles:
    """`cache` holds what the newest answers say, by key and ETag of the result."""

    bucket: Bucket
    cache: OrderedDict[tuple[str, str], Mapping[str, Any]] = field(default_factory=OrderedDict)

    def rows(self, level: FirstLevel) -> list[Mapping[str, Any]]:
        """The newest first. Reads only results that have not been read before."""
        newest = sorted(level.singles, key=lambda one: (one.last_modified, one.key), reverse=True)
        with ThreadPoolExecutor(READS_AT_ONCE) as pool:
            return list(pool.map(lambda one: self._row(one, level), newest[:SHOWN_SINGLES]))

    def _row(self, image: Listed, level: FirstLevel) -> Mapping[str, Any]:
        answer = level.results.get(image.key)
        row = {"key": image.key, "at": timestamps.to_text(image.last_modified), "state": "waiting"}
        if answer is None or answer.last_modified < image.last_modified:
            return row
        return row | dict(self._answer(answer))

    def _answer(self, answer: Listed) -> Mapping[str, Any]:
        cached = self.cache.get((answer.key, answer.etag))
        if cached is not None:
            return cached
        stored = self.bucket.read(answer.key)
        if stored is None:
            return {}
        document = result.from_json(stored.body)
        if isinstance(document, Rejected):
            says: dict[str, Any] = {
                "state": "rejected",
                "code": document.code,
                "message": document.message,
            }
        else:
            best = document.labels[0] if document.labels else None
            says = {"state": "classified"}
            says |= {"label": best.label, "score": best.score} if best else {}
        self.cache[answer.key, answer.etag] = says
        while len(self.cache) > MOST_CACHED:
            self.cache.popitem(last=False)
        return says


def oldest_waiting(level: FirstLevel) -> str | None:
    """The key of the single image that has waited longest; None if all are answered."""
    waiting = (image for image in level.singles if not is_answered(level, image))
    oldest = min(waiting, key=lambda one: (one.last_modified, one.key), default=None)
    return oldest.key if oldest else None


def is_answered(level: FirstLevel, image: Listed) -> bool:
    """By the times of the listing; what the answer is about is in the answer itself."""
    answer = level.results.get(image.key)
    return answer is not None and answer.last_modified >= image.last_modified
