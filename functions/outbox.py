"""Publish results: the outbox holds a result only for the current version of the image.

The order is: read the current result's ETag, read the image, write the result if the ETag still
matches (compare-and-set), and read the image's version again. With any number of workers, crashes
and repetitions each image ends up with exactly one current result. Last-write-wins does not ensure
that, nor does remembering which events were handled. It costs two HEADs an image.
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
"""The most rounds, each lost to another writer; then the message is retried later."""


@dataclass(frozen=True, slots=True)
class Published:
    """A new result was written."""

    result: Result


@dataclass(frozen=True, slots=True)
class Current:
    """The existing result is current and was kept."""


@dataclass(frozen=True, slots=True)
class Gone:
    """There is neither an image nor a result."""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The caller has no answer for the current version of the image."""

    image: Image


Outcome = Published | Current | Gone | NoAnswer


@dataclass(frozen=True, slots=True)
class Conflict:
    """The image or the result changed in between: start again."""


@dataclass(frozen=True, slots=True)
class Outbox:
    """Where results are published.

    `look_again(key)` is called before a result by a model that is not active is published. For a
    single it queues the key again; results of runs are left to the following reclassification.
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
    """The existing result, from its metadata (HEAD); `etag` is the result object's own."""

    etag: str
    source: Version
    model: str
    status: str
    is_unreadable: bool

    def is_about(self, image: Image | Absent) -> bool:
        """Whether the result is about this version of the image."""
        return isinstance(image, Image) and self.source.is_same(image.source.version)

    def is_by(self, active: ActiveModel) -> bool:
        """Whether it is by the active model, or a rejection that does not depend on the model."""
        return self.model in ("", str(active.id))


Look = Callable[[str], Image | Absent]
Answer = Callable[[Image], Result | None]


def reconcile(outbox: Outbox, key: str, look: Look, answer: Answer) -> Outcome:
    """Make the result of `key` correspond to the current image, by calling `answer` if needed.

    `look` reads the image; `answer` returns the result for it, or None if it has none. Raises
    ContendedError, NoActiveModelError, and errors of S3 and `answer`; none of them is published.
    """
    for _ in range(WRITE_ATTEMPTS):
        outcome = _reconcile_once(outbox, key, look, answer)
        if not isinstance(outcome, Conflict):
            return outcome
    raise ContendedError(f"{key} changed in each of {WRITE_ATTEMPTS} rounds")


def delete_result(outbox: Outbox, key: str, is_restored: bool = False) -> Current | Gone:
    """Delete the result of `key` unless it is about the current image.

    A removal may make an older version current, whose result is then kept. With `is_restored` (S3
    has restored the archived image) the rejection of an unreadable image is deleted too.
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
    # Do not download the image for repeated messages and retried pages.
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
        # Before publishing, so that a crash in between causes a repetition, not a stale result.
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
    """Add the result of another model for the same source, if this result replaces it."""
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
    """Whether `result` may replace the existing one.

    It may if there is none for this version, or if the existing one is by a model that is not
    active. A rejection replaces labels only if it is by the active model.
    """
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
    """Write the result; False if the existing one has changed since it was read."""
    etag = current.etag if isinstance(current, CurrentResult) else None
    body = to_json(result).encode()
    return outbox.store.replace(result_key(key), body, etag, metadata=metadata(result))


def previous_answer(s3: "S3Client", bucket: str, image: str, etag: str) -> Previous | Absent | None:
    """What to keep of the existing result with this ETag.

    Absent if the result has changed; None if it cannot be read (archived, or of an unknown schema),
    in which case it is replaced without a trace.
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
