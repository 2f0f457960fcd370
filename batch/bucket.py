"""The bucket, in the few verbs that a run needs; absence and lost races are answers, not errors."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO

from botocore.exceptions import ClientError

from domain.keys import KEY_BYTES

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

LOST_A_RACE = frozenset({404, 409, 412})
"""404: what If-Match names is gone. 409: another conditional write of this key is under way."""


@dataclass(frozen=True, slots=True)
class Listed:
    """One object as a listing (or a HEAD) shows it. `etag` is without quotes."""

    key: str
    etag: str
    size: int
    last_modified: datetime


@dataclass(frozen=True, slots=True)
class Stored:
    body: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class Headed:
    listed: Listed
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class Bucket:
    """Absent is None, and only a 404 is absent: a 403 is raised."""

    client: "S3Client"
    name: str

    def read(self, key: str) -> Stored | None:
        """The whole object: for our own small files only."""
        try:
            answer = self.client.get_object(Bucket=self.name, Key=key)
        except ClientError as error:
            if status_of(error) != 404:
                raise
            return None
        return Stored(answer["Body"].read(), answer["ETag"].strip('"'))

    def head(self, key: str) -> Headed | None:
        try:
            answer = self.client.head_object(Bucket=self.name, Key=key)
        except ClientError as error:
            if status_of(error) != 404:
                raise
            return None
        listed = _listed(key, answer["ETag"], answer["ContentLength"], answer["LastModified"])
        return Headed(listed, answer["Metadata"])

    def put(self, key: str, body: bytes | str) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def create(self, key: str, body: bytes | str) -> bool:
        """Whether this call made the object; False where it already exists."""
        return self._put(key, body, IfNoneMatch="*")

    def replace(self, key: str, body: bytes | str | BinaryIO, etag: str | None) -> bool:
        """Whether the object was still as `etag` says (None: absent) and now is `body`."""
        condition = {"IfMatch": etag} if etag else {"IfNoneMatch": "*"}
        return self._put(key, body, **condition)

    def _put(self, key: str, body: bytes | str | BinaryIO, **condition: Any) -> bool:
        try:
            self.client.put_object(Bucket=self.name, Key=key, Body=body, **condition)
        except ClientError as error:
            if status_of(error) not in LOST_A_RACE:
                raise
            return False
        return True

    def delete(self, key: str, etag: str) -> bool:
        """Whether the object was still as `etag` says and now is gone."""
        try:
            self.client.delete_object(Bucket=self.name, Key=key, IfMatch=etag)
        except ClientError as error:
            if status_of(error) not in LOST_A_RACE:
                raise
            return False
        return True

    def walk(self, prefix: str, after: str = "") -> Iterator[Listed]:
        """Every object below `prefix` whose key sorts after `after`; a thousand are held at a time.

        Keys come in the order of their UTF-8 bytes, which is also the order of Python's strings.
        """
        more: dict[str, Any] = {"StartAfter": _at_most_a_key(after)} if after else {}
        while True:
            page = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix, **more)
            for found in page.get("Contents", []):
                yield _listed(found["Key"], found["ETag"], found["Size"], found["LastModified"])
            if not page["IsTruncated"]:
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}


def _listed(key: str, etag: str, size: int, last_modified: datetime) -> Listed:
    """In whole seconds, because HEAD tells no more and listings might."""
    return Listed(key, etag.strip('"'), size, last_modified.replace(microsecond=0))


def status_of(error: ClientError) -> int:
    return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def _at_most_a_key(text: str) -> str:
    """`text` cut to what S3 takes for a key; a prefix sorts first, so that nothing is left out."""
    return text.encode()[:KEY_BYTES].decode(errors="ignore")
