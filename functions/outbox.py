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
from batch.claim import ContendedError
from batch.unreadable import is_certainly_denied
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

WRITE_ATTEMPTS = 8
"""Each round is lost to somebody else's write; beyond so many the queue tries again later."""


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
class NoAnswer:
    """The caller has no answer for the image as it is now."""

    image: Image


Outcome = Published | Current | Gone | NoAnswer


@dataclass(frozen=True, slots=True)
class Conflict:
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
class CurrentResult:
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


def reconcile(outbox: Outbox, key: str, look: Look, answer: Answer) -> Outcome:
    """Bring the result of `key` in line with the image as it is now, asking `answer` if need be.

    `answer` gives None where it has none for that very image. Raises ContendedError, NoActiveModel,
    and whatever S3 and `answer` raise: none of that is ever an answer.
    """
    for _ in range(WRITE_ATTEMPTS):
        outcome = _reconcile_once(outbox, key, look, answer)
        if not isinstance(outcome, Conflict):
            return outcome
    raise ContendedError(f"{key} changed in each of {WRITE_ATTEMPTS} rounds")


def delete_result(outbox: Outbox, key: str, is_restored: bool = False) -> Current | Gone:
    """Delete the result of `key` unless it answers the image as it is now.

    A removal may bring an older version back: then its answer, if it is that one's, stays. Where
    the image `is_restored`, that it could not be read is no answer any more.
    """
    for _ in range(WRITE_ATTEMPTS):
        current = _read_current(outbox, key)
        image = peek(outbox.s3, outbox.bucket, key)
        if not isinstance(current, CurrentResult):
            return Gone()
        if current.is_about(image) and not (is_restored and current.is_unreadable):
            return Current()
        if outbox.store.delete(result_key(key), current.etag):
            return Gone()
    raise ContendedError(f"{key} changed in each of {WRITE_ATTEMPTS} rounds")


def _reconcile_once(outbox: Outbox, key: str, look: Look, answer: Answer) -> Outcome | Conflict:
    current = _read_current(outbox, key)
    # What comes twice, and what a page that is tried again has done, is not downloaded.
    if (
        isinstance(current, CurrentResult)
        and not current.is_unreadable
        and current.is_by(outbox.active())
        and current.is_about(peek(outbox.s3, outbox.bucket, key))
    ):
        return Current()
    image = look(key)
    if isinstance(image, Absent):
        return _remove(outbox, key, current)
    result = answer(image)
    if result is None:
        return NoAnswer(image)
    return _publish(outbox, current, image, result)


def _publish(
    outbox: Outbox, current: CurrentResult | Absent, image: Image, result: Result
) -> Outcome | Conflict:
    active = outbox.active()
    if result.by is not None and result.by.model != active.id:
        # First, so that a crash between the two costs a repeat and not a stale answer.
        outbox.look_again(image.key)
    if not _replaces(result, current, active):
        return Current()
    result_now = _with_previous(outbox, current, result)
    if isinstance(result_now, Conflict):
        return Conflict()
    if not _put(outbox, image.key, current, result_now):
        return Conflict()
    now = peek(outbox.s3, outbox.bucket, image.key)
    if isinstance(now, Absent) or not now.source.version.is_same(image.source.version):
        return Conflict()
    return Published(result_now) if outbox.active().id == active.id else Conflict()


def _with_previous(
    outbox: Outbox, current: CurrentResult | Absent, result: Result
) -> Result | Conflict:
    """With what another model had said about the same source, where this answer replaces it."""
    if (
        isinstance(current, Absent)
        or result.by is None
        or not current.source.is_same(result.source.version)
        or current.model in ("", str(result.by.model))
    ):
        return result
    before = previous_answer(outbox.s3, outbox.bucket, result.image, current.etag)
    return Conflict() if isinstance(before, Absent) else replace(result, previous=before)


def _remove(outbox: Outbox, key: str, current: CurrentResult | Absent) -> Gone | Conflict:
    if isinstance(current, Absent):
        return Gone()
    if not outbox.store.delete(result_key(key), current.etag):
        return Conflict()
    return Gone() if isinstance(peek(outbox.s3, outbox.bucket, key), Absent) else Conflict()


def _replaces(result: Result, current: CurrentResult | Absent, active: ActiveModel) -> bool:
    """Where another model's answer stands, or none: of rejections the active model's alone."""
    if isinstance(current, Absent) or not current.source.is_same(result.source.version):
        return True
    if current.is_unreadable:
        return metadata(result).get(CODE) != UNREADABLE
    if current.is_by(active):
        return False
    if isinstance(result, Rejected) and current.status == "classified":
        return result.by is not None and result.by.model == active.id
    details = metadata(result)
    return (current.model, current.status) != (details[MODEL_ID], details[STATUS])


def _read_current(outbox: Outbox, key: str) -> CurrentResult | Absent:
    head = outbox.store.head(result_key(key))
    if head is None:
        return Absent()
    details = head.metadata
    return CurrentResult(
        etag=head.listed.etag,
        source=source_version(details),
        model=details.get(MODEL_ID, "unknown"),
        status=details.get(STATUS, ""),
        is_unreadable=details.get(CODE) == UNREADABLE,
    )


def _put(outbox: Outbox, key: str, current: CurrentResult | Absent, result: Result) -> bool:
    """Whether the result that stood there still did."""
    etag = current.etag if isinstance(current, CurrentResult) else None
    body = to_json(result).encode()
    return outbox.store.replace(result_key(key), body, etag, metadata=metadata(result))


def previous_answer(s3: "S3Client", bucket: str, image: str, etag: str) -> Previous | Absent | None:
    """Absent where the result is no longer the one with this ETag.

    None where it says nothing: archived, or of an unknown schema, it is replaced all the same.
    """
    try:
        response = s3.get_object(Bucket=bucket, Key=result_key(image))
    except ClientError as error:
        return None if is_certainly_denied(error) else absent(error)
    if response["ETag"].strip('"') != etag:
        return Absent()
    try:
        return previous(from_json(response["Body"].read()))
    except ValueError:
        return None
