"""Which errors of S3 say that one object cannot be read, what to do about it, and who else can be.

The one table of them. Some say themselves that they are about this object: it is archived, or its
key is its uploader's. The others are the same for one object and for all of them (a key that is
disabled, a role that lost a permission), so that somebody else has to be read before they count.

| GET says | HEAD says | why |
|---|---|---|
| 403 InvalidObjectState | 200 | GLACIER, DEEP_ARCHIVE, Intelligent-Tiering's archive tiers |
| 400 InvalidRequest ("… a form of Server Side Encryption …") | 400, no body | SSE-C |
| 400 KMS.DisabledException, KMS.KMSInvalidStateException, KMS.NotFoundException | 200 | the key |
| 403 AccessDenied, of kms:Decrypt | 200 | the key may not be used |
| 403 AccessDenied | 403, no body | a bucket policy, an ACL, another owner, requester pays |

404 is an absent object, and never here; nor is what passes by itself: throttling, time-outs, 5xx.
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
"""What is tried again with no look at others: trouble of a request, of a session, of KMS itself."""

SAMPLES = 4
"""Others that are tried of each listing, of which there are three."""


@dataclass(frozen=True, slots=True)
class Denial:
    """`certain`: it is about this object. `why` is a sentence, and what to do."""

    certain: bool
    why: str


def denial_of(error: ClientError) -> Denial | None:
    """None where the error says nothing about the object."""
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
    """Whether S3 says of this very object that it cannot be read."""
    denial = denial_of(error)
    return denial is not None and denial.certain


def read_if_allowed(bucket: Bucket, key: str) -> StoredObject | None:
    """Of what is only consulted before it is replaced: a denied object is as good as absent."""
    try:
        return bucket.read(key)
    except ClientError as error:
        if denial_of(error) is None:
            raise
        return None


@dataclass
class LastRead:
    """The object that a process has read last. It keeps one for as long as it lives.

    Of one sender's objects that are denied there may be more than are looked at; they would be
    tried again for half a day, each at the cost of a dozen calls a try.
    """

    key: str | None = None


@dataclass
class OtherObjects:
    """Whether objects beside one that cannot be read can be read just now.

    Three LISTs and a dozen GETs of one byte at most, or HEADs, which a role may lose alone; who was
    read last is asked first.
    """

    bucket: Bucket
    by_head: bool = False
    witness: LastRead = field(default_factory=LastRead)

    def are_readable(self, key: str) -> bool:
        """Raises what says nothing about objects, throttling for one: that is no evidence."""
        known = self.witness.key
        if known not in (None, key) and self._is_read(str(known)):
            return True
        for other in self._samples(key):
            if self._is_read(other):
                self.witness.key = other
                return True
        return False

    def _samples(self, key: str) -> Iterator[str]:
        """Of those that follow it, of its folder, and of all: in each some, spread evenly."""
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
        """Whether S3 denies this object. An absent one is not read, and not denied either."""
        return self.denial(key) is not None

    def denial(self, key: str) -> Denial | None:
        denial = self._denial(key)
        return denial if isinstance(denial, Denial) else None

    def _denial(self, key: str) -> Denial | str | None:
        """Why an object is not read: it is denied, or `absent`; None where it is."""
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
    """Whether a run goes on without this object: it alone is denied, or has been for too long.

    While all objects may be denied the run waits, and not for ever: there may be more objects of
    one sender that nobody reads than are looked at, and those behind them are to have their turn.
    """
    denial = denial_of(error)
    return denial is not None and (
        denial.certain
        or is_overdue
        or _is_denied_alone(others.bucket, key)
        or others.are_readable(key)
    )


def _is_denied_alone(bucket: Bucket, key: str) -> bool:
    """Whether a GET says of this very object that it cannot be read: HEAD has no words for it."""
    denial = OtherObjects(bucket).denial(key)
    return denial is not None and denial.certain


def _is_usable_sample(other: Listed) -> bool:
    """An empty object has no first byte; one that is archived cannot be read in any case."""
    return other.size > 0 and other.storage_class not in ARCHIVES
