"""Which errors of S3 deny access to one object, as opposed to all objects.

Some errors are about this object by themselves: it is archived, or encrypted with its uploader's
key. Others look the same for one object and for all (a disabled KMS key, a role without a
permission). Those count only if another object can be read.

| GET | HEAD | cause |
|---|---|---|
| 403 InvalidObjectState | 200 | GLACIER, DEEP_ARCHIVE, Intelligent-Tiering's archive tiers |
| 400 InvalidRequest ("… a form of Server Side Encryption …") | 400, no body | SSE-C |
| 400 KMS.DisabledException, KMS.KMSInvalidStateException, KMS.NotFoundException | 200 | KMS key |
| 403 AccessDenied, of kms:Decrypt | 200 | no permission to use the key |
| 403 AccessDenied | 403, no body | a bucket policy, an ACL, another owner, requester pays |

A 404 means an absent object. Temporary errors (throttling, time-outs, 5xx) are not denials either.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from aws.bucket import ARCHIVES, Bucket, Listed, StoredObject
from aws.errors import code_of, is_absent, message_of, status_of

TRANSIENT_STATUSES = (404, 408, 409, 412, 416, 429)
TRANSIENT_CODES = frozenset(
    {
        "NoSuchBucket",
        "RequestTimeout",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "RequestLimitExceeded",
        "ExpiredToken",
        "InvalidToken",
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "RequestTimeTooSkewed",
        "TokenRefreshRequired",
        "KMS.ThrottlingException",
        "KMS.LimitExceededException",
        "KMS.KMSInternalException",
        "KMS.DependencyTimeoutException",
        "KMS.KeyUnavailableException",
    }
)
"""Temporary errors of a request, a session or KMS itself, which are retried."""

SAMPLES = 4
"""The most objects to try from each of the three listings."""


@dataclass(frozen=True, slots=True)
class Denial:
    """S3 denies an object. `certain`: this object in particular. `why`: the cause and what to
    do."""

    certain: bool
    why: str


def denial_of(error: ClientError) -> Denial | None:
    """The denial that an error of S3 means; None if it says nothing about the object."""
    status, code, message = status_of(error), code_of(error), message_of(error)
    if not 400 <= status < 500 or status in TRANSIENT_STATUSES or code in TRANSIENT_CODES:
        return None
    if code == "InvalidObjectState":
        details: dict[str, Any] = {**error.response["Error"], **error.response}
        kind = details.get("AccessTier") or details.get("StorageClass")
        return Denial(
            True,
            f"The image is archived{f' ({kind})' if kind else ''} and cannot be read. Restore it "
            "(aws s3api restore-object): it is answered when that is done. Or upload it again.",
        )
    if "stored using a form of Server Side Encryption" in message:
        return Denial(
            True,
            "The image is encrypted with a key of its uploader's (SSE-C), which S3 does not keep. "
            "Upload it again without SSE-C.",
        )
    if code.startswith("KMS.") or "kms:" in message.lower():
        return Denial(
            False,
            f"The image's KMS key cannot be used ({code}), while other images can be read. Enable "
            "the key, or allow kms:Decrypt to the roles of this stage, and upload the image again; "
            "or upload it without that key.",
        )
    return Denial(
        False,
        f"S3 does not let this image be read ({status} {code}), while others can be. Look for "
        "SSE-C, a bucket policy, an ACL or another owner; then upload it again without.",
    )


def is_certainly_denied(error: ClientError) -> bool:
    """Whether the error denies this object in particular."""
    denial = denial_of(error)
    return denial is not None and denial.certain


def read_if_allowed(bucket: Bucket, key: str) -> StoredObject | None:
    """Read an object that will be replaced; None if it is absent or denied."""
    try:
        return bucket.read(key)
    except ClientError as error:
        if denial_of(error) is None:
            raise
        return None


@dataclass
class LastRead:
    """The object that this process read successfully last, kept for its lifetime.

    It saves calls: if one uploader's denied objects outnumber the samples, every retry would
    otherwise try a dozen of them, for half a day.
    """

    key: str | None = None


@dataclass
class OtherObjects:
    """Checks whether other objects can be read, to compare a denied one with.

    Costs at most three LISTs and a dozen GETs of one byte. With `by_head` it uses HEADs, for which
    a permission can be missing separately. `witness` is tried first.
    """

    bucket: Bucket
    by_head: bool = False
    witness: LastRead = field(default_factory=LastRead)

    def are_readable(self, key: str) -> bool:
        """Whether any object other than `key` can be read. Raises temporary errors of S3."""
        known = self.witness.key
        if known not in (None, key) and self._is_read(str(known)):
            return True
        for other in self._samples(key):
            if self._is_read(other):
                self.witness.key = other
                return True
        return False

    def _samples(self, key: str) -> Iterator[str]:
        """Objects that follow `key`, of its folder, and of the prefix; evenly spread over each."""
        top = key.partition("/")[0] + "/"
        tried = {key}
        for prefix, after in ((top, key), (key.rpartition("/")[0] + "/", ""), (top, "")):
            page = [
                listed.key
                for listed in self.bucket.page(prefix, after)
                if _is_usable_sample(listed)
            ]
            step = max(1, len(page) // SAMPLES)
            for other in page[::step][:SAMPLES]:
                if other not in tried:
                    tried.add(other)
                    yield other

    def _is_read(self, key: str) -> bool:
        return self._denial(key) is None

    def is_denied(self, key: str) -> bool:
        """Whether S3 denies this object; an absent one is not denied."""
        return self.denial(key) is not None

    def denial(self, key: str) -> Denial | None:
        """How S3 denies this object; None if it can be read or is absent."""
        denial = self._denial(key)
        return denial if isinstance(denial, Denial) else None

    def _denial(self, key: str) -> Denial | str | None:
        """Why an object cannot be read: its denial, or "absent"; None if it can be read."""
        try:
            if self.by_head:
                return None if self.bucket.head(key) else "absent"
            answer = self.bucket.client.get_object(
                Bucket=self.bucket.name, Key=key, Range="bytes=0-0"
            )
        except ClientError as error:
            if status_of(error) == 416:  # an empty object has no first byte
                return None
            denial = denial_of(error)
            if denial is None and not is_absent(error):
                raise
            return denial or "absent"
        answer["Body"].close()
        return None


def can_skip(error: ClientError, key: str, others: OtherObjects, is_overdue: bool) -> bool:
    """Whether a run continues without this object: it alone is denied, or the run is overdue.

    If all objects may be denied, the run waits, but not forever: the samples may all be denied
    objects of one uploader, and the objects after them must be answered.
    """
    denial = denial_of(error)
    return denial is not None and (
        denial.certain
        or is_overdue
        or _is_denied_alone(others.bucket, key)
        or others.are_readable(key)
    )


def _is_denied_alone(bucket: Bucket, key: str) -> bool:
    """Whether a GET denies this object in particular; the answer to a HEAD has no error code."""
    denial = OtherObjects(bucket).denial(key)
    return denial is not None and denial.certain


def _is_usable_sample(other: Listed) -> bool:
    """Excludes empty objects, which have no first byte, and archived ones, which cannot be read."""
    return other.size > 0 and other.storage_class not in ARCHIVES
