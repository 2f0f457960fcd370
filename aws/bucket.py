"""S3 operations on the bucket. An absent object and a lost race are return values, not errors."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from aws.errors import is_absent, is_lost_race
from domain.keys import KEY_BYTES
from domain.result import Version

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client

JSON = "application/json"
STANDARD = "STANDARD"
ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})
"""Storage classes whose objects must be restored before they can be read. A listing does not show
the archive tiers of Intelligent-Tiering."""

COPIES_AT_ONCE = 8
NO_METADATA: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Listed:
    """One object as in a listing or HEAD. `etag` is without quotes, `size` in bytes."""

    key: str
    etag: str
    size: int
    last_modified: datetime
    storage_class: str = STANDARD


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object's content and its ETag, without quotes."""

    body: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class ObjectHead:
    """The answer to a HEAD; `version_id` is None in a bucket without versioning."""

    listed: Listed
    metadata: dict[str, str]
    version_id: str | None = None

    @property
    def version(self) -> Version:
        return Version(self.listed.etag, self.version_id)


@dataclass(frozen=True, slots=True)
class Pieces:
    """Content too large for memory: the concatenation of the objects `keys`, and then `rest`.

    S3 requires at least 5 MiB in each of the objects, and accepts up to 9,999 of them here (10,000
    parts with the rest).
    """

    keys: tuple[str, ...]
    rest: str


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket and the client to access it.

    Reads return None for an absent object (404 only). Every other error, such as a 403, is raised
    as botocore's ClientError.
    """

    client: "S3Client"
    name: str

    def read(self, key: str) -> StoredObject | None:
        """Read a whole object into memory; None if it is absent."""
        try:
            answer = self.client.get_object(Bucket=self.name, Key=key)
        except ClientError as error:
            if is_absent(error):
                return None
            raise
        return StoredObject(answer["Body"].read(), answer["ETag"].strip('"'))

    def span(self, key: str, etag: str, first: int, size: int) -> bytes | None:
        """Read up to `size` bytes from offset `first`, which must be within the object.

        None if the object is absent, or no longer has this ETag.
        """
        try:
            answer = self.client.get_object(
                Bucket=self.name,
                Key=key,
                IfMatch=f'"{etag}"',
                Range=f"bytes={first}-{first + size - 1}",
            )
        except ClientError as error:
            if is_lost_race(error):
                return None
            raise
        return answer["Body"].read()

    def head(self, key: str) -> ObjectHead | None:
        """None if the object is absent."""
        try:
            answer = self.client.head_object(Bucket=self.name, Key=key)
        except ClientError as error:
            if is_absent(error):
                return None
            raise
        listed = _listed(key, answer["ETag"], answer["ContentLength"], answer["LastModified"])
        return ObjectHead(listed, answer["Metadata"], answer.get("VersionId"))

    def put(self, key: str, body: bytes | str) -> None:
        """Write unconditionally, as JSON."""
        self.client.put_object(Bucket=self.name, Key=key, Body=body, ContentType=JSON)

    def create(self, key: str, body: bytes | str) -> bool:
        """Write the object if it is absent (`If-None-Match: *`); False if it exists already."""
        return self.replace(key, body, None)

    def replace(
        self,
        key: str,
        body: bytes | str | Pieces,
        etag: str | None,
        content_type: str = JSON,
        metadata: Mapping[str, str] = NO_METADATA,
    ) -> bool:
        """Write `body` if the object still has this ETag (None: is absent); False if it does not.

        Compare-and-set with S3's conditional writes.
        """
        condition: Any = {"IfMatch": f'"{etag}"'} if etag else {"IfNoneMatch": "*"}
        options: Any = {"ContentType": content_type} | (
            {"Metadata": dict(metadata)} if metadata else {}
        )
        try:
            if isinstance(body, Pieces) and body.keys:
                self._assemble(key, body, options, condition)
                return True
            whole = body.rest if isinstance(body, Pieces) else body
            self.client.put_object(Bucket=self.name, Key=key, Body=whole, **options, **condition)
        except ClientError as error:
            if is_lost_race(error):
                return False
            raise
        return True

    def _assemble(self, key: str, body: Pieces, options: Any, condition: Any) -> None:
        """Assemble the object by a multipart upload, in which S3 copies the pieces itself.

        After a lost race the upload is left incomplete, and a lifecycle rule removes it. S3's
        reference says that an upload must begin again after a 409.
        """
        target: Any = {"Bucket": self.name, "Key": key}
        upload = self.client.create_multipart_upload(**target, **options)
        target["UploadId"] = upload["UploadId"]

        def copy_part(number: int, source: str) -> str:
            place: Any = {"Bucket": self.name, "Key": source}
            answer = self.client.upload_part_copy(**target, PartNumber=number, CopySource=place)
            return answer["CopyPartResult"]["ETag"]

        with ThreadPoolExecutor(COPIES_AT_ONCE) as threads:
            etags = [*threads.map(copy_part, range(1, len(body.keys) + 1), body.keys)]
        if body.rest:
            last = self.client.upload_part(
                **target, PartNumber=len(etags) + 1, Body=body.rest.encode()
            )
            etags.append(last["ETag"])
        parts: Any = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, 1)]
        self.client.complete_multipart_upload(
            **target, MultipartUpload={"Parts": parts}, **condition
        )

    def delete(self, key: str, etag: str) -> bool:
        """Delete the object if it still has this ETag; False if it does not."""
        try:
            self.client.delete_object(Bucket=self.name, Key=key, IfMatch=f'"{etag}"')
        except ClientError as error:
            if is_lost_race(error):
                return False
            raise
        return True

    def page(self, prefix: str, after: str = "") -> list[Listed]:
        """The first 1,000 objects of `walk`, in one call."""
        more: dict[str, Any] = {"StartAfter": _at_most_a_key(after)} if after else {}
        response = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix, **more)
        return list(contents(response))

    def walk(self, prefix: str, after: str = "") -> Iterator[Listed]:
        """Every object below `prefix` whose key sorts after `after`; holds one page of 1,000.

        Keys are in the order of their UTF-8 bytes, which is also the order of Python's strings.
        """
        more: dict[str, Any] = {"StartAfter": _at_most_a_key(after)} if after else {}
        while True:
            page = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix, **more)
            yield from contents(page)
            if not page["IsTruncated"]:
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}


def contents(page: Any) -> Iterator[Listed]:
    """The objects of one page of a listing."""
    for item in page.get("Contents", []):
        yield _listed(
            item["Key"],
            item["ETag"],
            item["Size"],
            item["LastModified"],
            item.get("StorageClass", STANDARD),
        )


def _listed(
    key: str, etag: str, size: int, last_modified: datetime, storage_class: str = STANDARD
) -> Listed:
    """Truncates `last_modified` to seconds: HEAD has no fractions, and listings might."""
    return Listed(key, etag.strip('"'), size, last_modified.replace(microsecond=0), storage_class)


def _at_most_a_key(text: str) -> str:
    """`text` truncated to the length of a key; a prefix sorts before it, so nothing is skipped."""
    return text.encode()[:KEY_BYTES].decode(errors="ignore")
