"""The bucket in a few verbs; an absent object and a lost race are answers, not errors."""

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
"""Storage classes whose objects need to be restored; a listing does not tell of archive tiers."""

COPIES_AT_ONCE = 8
NO_METADATA: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Listed:
    """One object as a listing (or a HEAD) shows it. `etag` is without quotes."""

    key: str
    etag: str
    size: int
    last_modified: datetime
    storage_class: str = STANDARD


@dataclass(frozen=True, slots=True)
class StoredObject:
    body: bytes
    etag: str


@dataclass(frozen=True, slots=True)
class ObjectHead:
    listed: Listed
    metadata: dict[str, str]
    version_id: str | None = None

    @property
    def version(self) -> Version:
        return Version(self.listed.etag, self.version_id)


@dataclass(frozen=True, slots=True)
class Pieces:
    """An object that is too large for one's memory: what lies under `keys`, then `rest`.

    Of each key S3 wants at least 5 MiB, and it takes 9,999 of them.
    """

    keys: tuple[str, ...]
    rest: str


@dataclass(frozen=True, slots=True)
class Bucket:
    """Absent is None, and only a 404 is absent: a 403 is raised."""

    client: "S3Client"
    name: str

    def read(self, key: str) -> StoredObject | None:
        """The whole object: for our own small files only."""
        try:
            answer = self.client.get_object(Bucket=self.name, Key=key)
        except ClientError as error:
            if is_absent(error):
                return None
            raise
        return StoredObject(answer["Body"].read(), answer["ETag"].strip('"'))

    def span(self, key: str, etag: str, first: int, size: int) -> bytes | None:
        """At most `size` bytes from byte `first` on, which there must be.

        None where the object is gone, or no longer the one with this ETag.
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
        try:
            answer = self.client.head_object(Bucket=self.name, Key=key)
        except ClientError as error:
            if is_absent(error):
                return None
            raise
        listed = _listed(key, answer["ETag"], answer["ContentLength"], answer["LastModified"])
        return ObjectHead(listed, answer["Metadata"], answer.get("VersionId"))

    def put(self, key: str, body: bytes | str) -> None:
        self.client.put_object(Bucket=self.name, Key=key, Body=body, ContentType=JSON)

    def create(self, key: str, body: bytes | str) -> bool:
        """Whether this call made the object; False where it already exists."""
        return self.replace(key, body, None)

    def replace(
        self,
        key: str,
        body: bytes | str | Pieces,
        etag: str | None,
        content_type: str = JSON,
        metadata: Mapping[str, str] = NO_METADATA,
    ) -> bool:
        """Whether the object was still as `etag` says (None: absent) and now is `body`."""
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
        """S3 copies the pieces within itself. What is begun and not completed, a lifecycle rule
        removes: whoever lost a race must begin anew, as S3's reference asks for a 409."""
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
        """Whether the object was still as `etag` says and now is gone."""
        try:
            self.client.delete_object(Bucket=self.name, Key=key, IfMatch=f'"{etag}"')
        except ClientError as error:
            if is_lost_race(error):
                return False
            raise
        return True

    def page(self, prefix: str, after: str = "") -> list[Listed]:
        """The first thousand of `walk`, in one call."""
        more: dict[str, Any] = {"StartAfter": _at_most_a_key(after)} if after else {}
        response = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix, **more)
        return list(_contents(response))

    def walk(self, prefix: str, after: str = "") -> Iterator[Listed]:
        """Every object below `prefix` whose key sorts after `after`; a thousand are held at a time.

        Keys come in the order of their UTF-8 bytes, which is also the order of Python's strings.
        """
        more: dict[str, Any] = {"StartAfter": _at_most_a_key(after)} if after else {}
        while True:
            page = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix, **more)
            yield from _contents(page)
            if not page["IsTruncated"]:
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}


def _contents(page: Any) -> Iterator[Listed]:
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
    """In whole seconds, because HEAD tells no more and listings might."""
    return Listed(key, etag.strip('"'), size, last_modified.replace(microsecond=0), storage_class)


def _at_most_a_key(text: str) -> str:
    """`text` cut to what S3 takes for a key; a prefix sorts first, so that nothing is left out."""
    return text.encode()[:KEY_BYTES].decode(errors="ignore")
