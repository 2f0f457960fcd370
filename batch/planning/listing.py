"""Walk the listings of inbox and outbox together, in constant memory, to find images without a
current result.

Whether a result is current depends on its metadata, which costs a HEAD. The HEAD is omitted if the
listing alone is sufficient.
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
"""S3's times have whole seconds: two that are closer than this do not show which object is
older."""

Unlisted = Literal["unlisted"]
UNLISTED: Unlisted = "unlisted"
"""The walk did not cover the place of this result in the listing, so that a HEAD is needed."""


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image and its result in the listing; None if there is none."""

    image: Listed
    result: Listed | Unlisted | None


Unmatched = Callable[[Listed], bool]
"""Called for each result without an image in the walk. After the last image, its return value says
whether to continue reading results."""


def ignore_unmatched(result: Listed) -> bool:
    return False


def match_results(
    images: Iterator[Listed], results: Iterator[Listed], unmatched: Unmatched = ignore_unmatched
) -> Iterator[ListedImage]:
    """Merge both listings, each in the order of its keys, into candidates.

    The order of result keys differs from that of image keys: `cat (1).jpg` sorts before `cat.json`,
    but `cat` sorts before `cat (1).jpg`. So an image is held back until no later one can precede
    it. Held keys are prefixes of the last key, at most 1,024. Those that are still held when the
    images end become UNLISTED, because reaching their results may mean to read the whole outbox.
    """
    held: list[tuple[str, Listed]] = []
    result, matched = next(results, None), ""
    for image in images:
        while held and held[0][0] <= OUTBOX + image.key.removeprefix(INBOX):
            key, first = heapq.heappop(held)
            result = _skip_to(results, result, key, matched, unmatched)
            if result is not None and result.key == key:
                matched = key
            yield ListedImage(first, result if matched == key else None)
        key = result_key(image.key)
        if key.startswith(LONG):
            yield ListedImage(image, UNLISTED)
        else:
            heapq.heappush(held, (key, image))
    for _, image in sorted(held):
        yield ListedImage(image, UNLISTED)
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
    """The first result at or after `until`. `matched` is the last result key with an image."""
    while result is not None and result.key < until:
        if result.key != matched:
            unmatched(result)
        result = next(results, None)
    return result


def is_settled_by_listing(candidate: ListedImage) -> bool:
    """Whether the listing alone shows that the result is about the current image.

    That is, the result is newer than the image. It does not hold for multipart uploads (ETag with a
    dash), whose LastModified is their start. A result is deleted when its image changes, so that
    an existing newer one is about the current image.
    """
    image, result = candidate.image, candidate.result
    if result is None or result == UNLISTED:
        return False
    return "-" not in image.etag and result.last_modified >= image.last_modified + DOUBT


Reason = Literal["no answer", "newer image", "older model"]

NO_MODEL = ""
"""The model in the metadata of a rejection that does not depend on any model."""


@dataclass(frozen=True, slots=True)
class AnswerRequirement:
    """Which result an image must have: one for its current version, by `model` unless it is
    None."""

    model: str | None = None

    def is_settled_by_listing(self, candidate: ListedImage) -> bool:
        """As the function of this name; never if a certain model is required, which needs a
        HEAD."""
        return self.model is None and is_settled_by_listing(candidate)

    def reason(self, bucket: Bucket, candidate: ListedImage) -> Reason | None:
        """Why the image has to be answered; None if its result is as required.

        Model ids are compared for equality, so that a rollback requires the older model's results.
        """
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

    def _is_about(self, bucket: Bucket, answered: Version, candidate: ListedImage) -> bool:
        """Whether the result is about the current image.

        A listing has no version id. One more HEAD is needed if the times are not sufficient: for
        multipart uploads, and for images that were overwritten with the same bytes.
        """
        if not answered.is_same(Version(candidate.image.etag)):
            return False
        if not answered.id or is_settled_by_listing(candidate):
            return True
        image = bucket.head(candidate.image.key)
        return image is not None and answered.is_same(image.version)
