"""Publishing: a result stands in the outbox only for the image as it is now.

Every write is a compare-and-set on the result that was seen *before* the image was looked at, and
the image is looked at once more *after* the write. With any number of workers, crashes and repeats,
that order leaves each image with exactly one current answer; last-write-wins does not, and neither
does remembering which events were handled. It costs two HEADs an image.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from aws.bucket import Bucket
from batch.unreadable import is_certainly_denied
from domain.errors import SortboxError
from domain.keys import result_key
from domain.model import ActiveModel
from domain.result import (
    CODE,
    MODEL_ID,
    STATUS,
    UNREADABLE,
    Previous,
    Rejected,
    Result,
    Version,
    from_json,
    metadata,
    previous,
    source_version,
    to_json,
)
from functions.inbox import Absent, Image, absent, peek

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

ROUNDS = 8
"""Each round is lost to somebody else's write; beyond so many the queue tries again later."""


class ContendedError(SortboxError):
    """The image or its result changed in every round."""


@dataclass(frozen=True, slots=True)
class Published:
    """A new answer was written."""

    result: Result


@dataclass(frozen=True, slots=True)
class Current:
    """The answer that stands is to be kept."""


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no image, and no result either."""


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The caller has no answer for the image as it is now."""

    image: Image


Outcome = Published | Current | Gone | Unanswered


@dataclass(frozen=True, slots=True)
class Overtaken:
    """Something changed in between: look again from the start."""


@dataclass(frozen=True, slots=True)
class Outbox:
    """`look_again(key)` is called before an answer by a model that is not active is published.

    A single is queued there; what a run answers is left to the reclassification that follows.
    """

    s3: "S3Client"
    bucket: str
    active: Callable[[], ActiveModel]
    look_again: Callable[[str], None]

    @property
    def store(self) -> Bucket:
        return Bucket(self.s3, self.bucket)


@dataclass(frozen=True, slots=True)
class Standing:
    """The result that is in the outbox now, as HEAD tells it; `etag` is the result's own."""

    etag: str
    source: Version
    model: str
    status: str
    is_unreadable: bool

    def is_about(self, image: Image | Absent) -> bool:
        return isinstance(image, Image) and self.source.is_same(image.source.version)

    def is_by(self, active: ActiveModel) -> bool:
        """The active model's, or a rejection that no model has a say in."""
        return self.model in ("", str(active.id))


Look = Callable[[str], Image | Absent]
Answer = Callable[[Image], Result | None]


def settle(outbox: Outbox, key: str, look: Look, answer: Answer) -> Outcome:
    """Bring the result of `key` in line with the image as it is now, asking `answer` if need be.

    `answer` gives None where it has none for that very image. Raises ContendedError, NoActiveModel,
    and whatever S3 and `answer` raise: none of that is ever an answer.
    """
    for _ in range(ROUNDS):
        outcome = _settle_once(outbox, key, look, answer)
        if not isinstance(outcome, Overtaken):
            return outcome
    raise ContendedError(f"{key} changed in each of {ROUNDS} rounds")


def withdraw(outbox: Outbox, key: str, is_restored: bool = False) -> Current | Gone:
    """Delete the result of `key` unless it answers the image as it is now.

    A removal may bring an older version back: then its answer, if it is that one's, stays. Where
    the image `is_restored`, that it could not be read is no answer any more.
    """
    for _ in range(ROUNDS):
        standing = _standing(outbox, key)
        image = peek(outbox.s3, outbox.bucket, key)
        if not isinstance(standing, Standing):
            return Gone()
        if standing.is_about(image) and not (is_restored and standing.is_unreadable):
            return Current()
        if outbox.store.delete(result_key(key), standing.etag):
            return Gone()
    raise ContendedError(f"{key} changed in each of {ROUNDS} rounds")


def _settle_once(outbox: Outbox, key: str, look: Look, answer: Answer) -> Outcome | Overtaken:
    standing = _standing(outbox, key)
    # What comes twice, and what a page that is tried again has done, is not downloaded.
    if (
        isinstance(standing, Standing)
        and not standing.is_unreadable
        and standing.is_by(outbox.active())
        and standing.is_about(peek(outbox.s3, outbox.bucket, key))
    ):
        return Current()
    image = look(key)
    if isinstance(image, Absent):
        return _remove(outbox, key, standing)
    result = answer(image)
    if result is None:
        return Unanswered(image)
    return _publish(outbox, standing, image, result)


def _publish(
    outbox: Outbox, standing: Standing | Absent, image: Image, result: Result
) -> Outcome | Overtaken:
    active = outbox.active()
    if result.by is not None and result.by.model != active.id:
        # First, so that a crash between the two costs a repeat and not a stale answer.
        outbox.look_again(image.key)
    if not _says_more(result, standing, active):
        return Current()
    result_now = _remembering(outbox, standing, result)
    if isinstance(result_now, Overtaken):
        return Overtaken()
    if not _put(outbox, image.key, standing, result_now):
        return Overtaken()
    now = peek(outbox.s3, outbox.bucket, image.key)
    if isinstance(now, Absent) or not now.source.version.is_same(image.source.version):
        return Overtaken()
    return Published(result_now) if outbox.active().id == active.id else Overtaken()


def _remembering(outbox: Outbox, standing: Standing | Absent, result: Result) -> Result | Overtaken:
    """With what another model had said about the same source, where this answer replaces it."""
    if (
        isinstance(standing, Absent)
        or result.by is None
        or not standing.source.is_same(result.source.version)
        or standing.model in ("", str(result.by.model))
    ):
        return result
    before = previous_answer(outbox.s3, outbox.bucket, result.image, standing.etag)
    return Overtaken() if isinstance(before, Absent) else replace(result, previous=before)


def _remove(outbox: Outbox, key: str, standing: Standing | Absent) -> Gone | Overtaken:
    if isinstance(standing, Absent):
        return Gone()
    if not outbox.store.delete(result_key(key), standing.etag):
        return Overtaken()
    return Gone() if isinstance(peek(outbox.s3, outbox.bucket, key), Absent) else Overtaken()


def _says_more(result: Result, standing: Standing | Absent, active: ActiveModel) -> bool:
    """Where another model's answer stands, or none: of rejections the active model's alone."""
    if isinstance(standing, Absent) or not standing.source.is_same(result.source.version):
        return True
    if standing.is_unreadable:
        return metadata(result).get(CODE) != UNREADABLE
    if standing.is_by(active):
        return False
    if isinstance(result, Rejected) and standing.status == "classified":
        return result.by is not None and result.by.model == active.id
    said = metadata(result)
    return (standing.model, standing.status) != (said[MODEL_ID], said[STATUS])


def _standing(outbox: Outbox, key: str) -> Standing | Absent:
    head = outbox.store.head(result_key(key))
    if head is None:
        return Absent()
    about = head.metadata
    return Standing(
        etag=head.listed.etag,
        source=source_version(about),
        model=about.get(MODEL_ID, "unknown"),
        status=about.get(STATUS, ""),
        is_unreadable=about.get(CODE) == UNREADABLE,
    )


def _put(outbox: Outbox, key: str, standing: Standing | Absent, result: Result) -> bool:
    """Whether the result that stood there still did."""
    etag = standing.etag if isinstance(standing, Standing) else None
    body = to_json(result).encode()
    return outbox.store.replace(result_key(key), body, etag, metadata=metadata(result))


def previous_answer(s3: "S3Client", bucket: str, image: str, etag: str) -> Previous | Absent | None:
    """Absent where the result is no longer the one with this ETag.

    None where it says nothing: archived, or of an unknown schema, it is replaced all the same.
    """
    try:
        found = s3.get_object(Bucket=bucket, Key=result_key(image))
    except ClientError as error:
        return None if is_certainly_denied(error) else absent(error)
    if found["ETag"].strip('"') != etag:
        return Absent()
    try:
        return previous(from_json(found["Body"].read()))
    except ValueError:
        return None
