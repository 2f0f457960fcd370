"""Inbox and outbox walked together, in constant memory: which images may have no answer yet.

A listing only nominates. The truth about a result is its metadata, which costs a HEAD; it is spared
where the listing leaves no doubt.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from aws.bucket import Bucket, Listed
from domain.keys import INBOX, LONG, OUTBOX, result_key
from domain.result import MODEL_ID, Version, source_version

DOUBT = timedelta(seconds=2)
"""Two times of S3's whole seconds, closer than this, do not tell which object was written first."""

Unlisted = Literal["unlisted"]
UNLISTED: Unlisted = "unlisted"
"""The listing has not come to the place where this result would be: only a HEAD can tell."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An image, and what is under its result's key: None where the listing shows nothing there."""

    image: Listed
    result: Listed | Unlisted | None


Unmatched = Callable[[Listed], bool]
"""Is told of a result that no image of the walk has; after the last image, whether to read on."""


def ignore_unmatched(result: Listed) -> bool:
    return False


def match_results(
    images: Iterator[Listed], results: Iterator[Listed], unmatched: Unmatched = ignore_unmatched
) -> Iterator[Candidate]:
    """Both listings in the order of result keys, which is not the order of image keys.

    `cat (1).jpg` sorts before `cat.json` though `cat` sorts before `cat (1).jpg`; so an image is
    held back until no later one can precede it. What is held are beginnings of the last key: at
    most 1,024. Those that are still held when the images end are left to a HEAD each, because
    reading on to their places may mean reading the whole outbox.
    """
    held: list[tuple[str, Listed]] = []
    result, matched = next(results, None), ""
    for image in images:
        while held and held[0][0] <= OUTBOX + image.key.removeprefix(INBOX):
            key, first = heapq.heappop(held)
            result = _skip_to(results, result, key, matched, unmatched)
            if result is not None and result.key == key:
                matched = key
            yield Candidate(first, result if matched == key else None)
        key = result_key(image.key)
        if key.startswith(LONG):
            yield Candidate(image, UNLISTED)
        else:
            heapq.heappush(held, (key, image))
    for _, image in sorted(held):
        yield Candidate(image, UNLISTED)
    theirs = {matched, *(key for key, _ in held)}
    while (
        unmatched is not ignore_unmatched
        and result is not None
        and (result.key in theirs or unmatched(result))
    ):
        result = next(results, None)


def _skip_to(
    results: Iterator[Listed], result: Listed | None, until: str, matched: str, unmatched: Unmatched
) -> Listed | None:
    """The first result from `until` on. `matched`: the one before it that has an image."""
    while result is not None and result.key < until:
        if result.key != matched:
            unmatched(result)
        result = next(results, None)
    return result


def is_settled_by_listing(candidate: Candidate) -> bool:
    """Whether the listing alone tells that the answer is for the image as it is now.

    A multipart upload's LastModified is its start, so that its time proves nothing; its ETag has a
    dash. A result that outlives its image's version is withdrawn by whoever sees the change.
    """
    image, result = candidate.image, candidate.result
    if result is None or result == UNLISTED:
        return False
    return "-" not in image.etag and result.last_modified >= image.last_modified + DOUBT


Reason = Literal["no answer", "newer image", "older model"]

NO_MODEL = ""
"""In the metadata of a rejection for which no model was asked, and no model would matter."""


@dataclass(frozen=True, slots=True)
class AnswerRequirement:
    """An answer for the present ETag, by whatever model; or by `model`, where one is given."""

    model: str | None = None

    def is_settled_by_listing(self, candidate: Candidate) -> bool:
        """A listing does not tell which model answered: a sweep after a promotion HEADs each."""
        return self.model is None and is_settled_by_listing(candidate)

    def reason(self, bucket: Bucket, candidate: Candidate) -> Reason | None:
        """None where the answer is as it should be. Ids are compared for equality: see rollback."""
        if candidate.result is None:
            return "no answer"
        if self.is_settled_by_listing(candidate):
            return None
        result = bucket.head(result_key(candidate.image.key))
        if result is None:
            return "no answer"
        if not self._is_about(bucket, source_version(result.metadata), candidate):
            return "newer image"
        if self.model is None or result.metadata.get(MODEL_ID) in (NO_MODEL, self.model):
            return None
        return "older model"

    def _is_about(self, bucket: Bucket, answered: Version, candidate: Candidate) -> bool:
        """A listing tells no version id, so that one more HEAD is due where its times leave doubt.

        That is of images in parts, and of those whose bytes were written again after their answer.
        """
        if not answered.is_same(Version(candidate.image.etag)):
            return False
        if not answered.id or is_settled_by_listing(candidate):
            return True
        image = bucket.head(candidate.image.key)
        return image is not None and answered.is_same(image.version)
