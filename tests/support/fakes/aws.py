"""In-memory stand-ins for S3 and SQS, shaped like boto3's clients.

They answer as the real services do where the product depends on it: conditional writes, ETags,
versions, listings in UTF-8 order a page at a time. `tests/contract/test_fakes.py` holds the S3 one
to an emulator.
"""

import hashlib
import io
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

from botocore.exceptions import ClientError

Hook = Callable[[str, str], None]
"""Called with (operation, key) before every call; may raise, or change the bucket meanwhile."""


def no_hook(operation: str, key: str) -> None:
    """Nothing happens in between."""


@dataclass
class Clock:
    """Time that moves only when told, and a millisecond a look, so that no two writes are equal."""

    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def tick(self, seconds: float = 0.001) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


@dataclass(frozen=True)
class FakeObject:
    body: bytes
    etag: str
    version_id: str
    last_modified: datetime
    metadata: dict[str, str]
    content_type: str

    def headers(self) -> dict[str, Any]:
        return {
            "ETag": f'"{self.etag}"',
            "VersionId": self.version_id,
            "ContentLength": len(self.body),
            "LastModified": self.last_modified.replace(microsecond=0),
            "Metadata": dict(self.metadata),
            "ContentType": self.content_type,
        }


def error(operation: str, status: int, code: str) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": code},
            "ResponseMetadata": {
                "HTTPStatusCode": status,
                "RequestId": "fake",
                "HostId": "",
                "HTTPHeaders": {},
                "RetryAttempts": 0,
            },
        },
        operation,
    )


@dataclass
class Upload:
    """In parts, not completed yet."""

    key: str
    about: dict[str, Any]
    parts: dict[int, bytes] = field(default_factory=dict)


@dataclass
class FakeS3:
    """One versioned bucket; `calls` counts what was asked for, by operation."""

    bucket: str = "bucket"
    clock: Clock = field(default_factory=Clock)
    hook: Hook = no_hook
    objects: dict[str, FakeObject] = field(default_factory=dict)
    calls: dict[str, int] = field(default_factory=dict)
    page_size: int = 1000
    least_part: int = 5 * 2**20
    """S3's; a test of small parts may lower it."""
    uploads: dict[str, "Upload"] = field(default_factory=dict)
    _versions: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def _called(self, operation: str, bucket: str, key: str) -> None:
        if bucket != self.bucket:
            raise error(operation, 404, "NoSuchBucket")
        self.calls[operation] = self.calls.get(operation, 0) + 1
        self.hook(operation, key)

    def put_object(
        self,
        *,
        Bucket: str,
        Key: str,
        Body: bytes | str | BinaryIO = b"",
        IfMatch: str | None = None,
        IfNoneMatch: str | None = None,
        Metadata: dict[str, str] | None = None,
        ContentType: str = "binary/octet-stream",
        **_: Any,
    ) -> dict[str, Any]:
        self._called("PutObject", Bucket, Key)
        self._check("PutObject", Key, IfMatch, IfNoneMatch)
        body = (
            Body
            if isinstance(Body, bytes)
            else Body.encode()
            if isinstance(Body, str)
            else Body.read()
        )
        stored = FakeObject(
            body=body,
            etag=hashlib.md5(body, usedforsecurity=False).hexdigest(),
            version_id=f"v{next(self._versions)}",
            last_modified=self.clock.tick(),
            metadata=dict(Metadata or {}),
            content_type=ContentType,
        )
        self.objects[Key] = stored
        return {"ETag": f'"{stored.etag}"', "VersionId": stored.version_id}

    def upload_fileobj(
        self, Fileobj: BinaryIO, Bucket: str, Key: str, ExtraArgs: dict[str, Any] | None = None
    ) -> None:
        self.put_object(Bucket=Bucket, Key=Key, Body=Fileobj.read(), **(ExtraArgs or {}))

    def upload_file(self, Filename: str, Bucket: str, Key: str) -> None:
        self.put_object(Bucket=Bucket, Key=Key, Body=Path(Filename).read_bytes())

    def get_object(
        self, *, Bucket: str, Key: str, IfMatch: str | None = None, Range: str = "", **_: Any
    ) -> dict[str, Any]:
        self._called("GetObject", Bucket, Key)
        stored = self._find("GetObject", Key, "NoSuchKey")
        self._check("GetObject", Key, IfMatch, None)
        body = stored.body
        if Range:
            first, last = map(int, Range.removeprefix("bytes=").split("-"))
            if first >= len(body):
                raise error("GetObject", 416, "InvalidRange")
            body = body[first : last + 1]
        return stored.headers() | {"ContentLength": len(body), "Body": io.BytesIO(body)}

    def create_multipart_upload(self, *, Bucket: str, Key: str, **about: Any) -> dict[str, Any]:
        self._called("CreateMultipartUpload", Bucket, Key)
        upload = f"u{next(self._versions)}"
        self.uploads[upload] = Upload(Key, about)
        return {"UploadId": upload}

    def upload_part(
        self, *, Bucket: str, Key: str, UploadId: str, PartNumber: int, Body: bytes
    ) -> dict[str, Any]:
        self._called("UploadPart", Bucket, Key)
        return {"ETag": self._part("UploadPart", Key, UploadId, PartNumber, Body)}

    def upload_part_copy(
        self,
        *,
        Bucket: str,
        Key: str,
        UploadId: str,
        PartNumber: int,
        CopySource: dict[str, str],
    ) -> dict[str, Any]:
        self._called("UploadPartCopy", Bucket, Key)
        body = self._find("UploadPartCopy", CopySource["Key"], "NoSuchKey").body
        etag = self._part("UploadPartCopy", Key, UploadId, PartNumber, body)
        return {"CopyPartResult": {"ETag": etag}}

    def _part(self, operation: str, key: str, upload: str, number: int, body: bytes) -> str:
        if upload not in self.uploads or self.uploads[upload].key != key:
            raise error(operation, 404, "NoSuchUpload")
        self.uploads[upload].parts[number] = body
        return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'

    def complete_multipart_upload(
        self,
        *,
        Bucket: str,
        Key: str,
        UploadId: str,
        MultipartUpload: dict[str, Any],
        IfMatch: str | None = None,
        IfNoneMatch: str | None = None,
    ) -> dict[str, Any]:
        self._called("CompleteMultipartUpload", Bucket, Key)
        if UploadId not in self.uploads:
            raise error("CompleteMultipartUpload", 404, "NoSuchUpload")
        self._check("CompleteMultipartUpload", Key, IfMatch, IfNoneMatch)
        upload = self.uploads[UploadId]
        numbers = [part["PartNumber"] for part in MultipartUpload["Parts"]]
        bodies = [upload.parts[number] for number in numbers]
        if any(len(body) < self.least_part for body in bodies[:-1]):
            raise error("CompleteMultipartUpload", 400, "EntityTooSmall")
        del self.uploads[UploadId]
        digests = b"".join(hashlib.md5(body, usedforsecurity=False).digest() for body in bodies)
        whole = hashlib.md5(digests, usedforsecurity=False).hexdigest()
        self.objects[Key] = FakeObject(
            body=b"".join(bodies),
            etag=f"{whole}-{len(bodies)}",
            version_id=f"v{next(self._versions)}",
            last_modified=self.clock.tick(),
            metadata=upload.about.get("Metadata", {}),
            content_type=upload.about["ContentType"],
        )
        return {"ETag": f'"{self.objects[Key].etag}"'}

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        self._called("HeadObject", Bucket, Key)
        return self._find("HeadObject", Key, "404").headers()

    def delete_object(self, *, Bucket: str, Key: str, IfMatch: str | None = None) -> dict[str, Any]:
        self._called("DeleteObject", Bucket, Key)
        self._check("DeleteObject", Key, IfMatch, None)
        self.objects.pop(Key, None)
        return {}

    def list_objects_v2(
        self,
        *,
        Bucket: str,
        Prefix: str = "",
        Delimiter: str | None = None,
        StartAfter: str = "",
        ContinuationToken: str = "",
        MaxKeys: int = 1000,
        **_: Any,
    ) -> dict[str, Any]:
        self._called("ListObjectsV2", Bucket, Prefix)
        after = max(StartAfter, ContinuationToken)
        matching = sorted(key for key in self.objects if key.startswith(Prefix))
        if Delimiter:
            matching = _rolled_up(matching, Prefix, Delimiter)
        rest = [key for key in matching if key > after]
        page = rest[: min(MaxKeys, self.page_size)]
        answer: dict[str, Any] = {"KeyCount": len(page), "IsTruncated": len(rest) > len(page)}
        contents = [self._listed(key) for key in page if key in self.objects]
        prefixes = [{"Prefix": key} for key in page if key not in self.objects]
        if contents:
            answer["Contents"] = contents
        if prefixes:
            answer["CommonPrefixes"] = prefixes
        if answer["IsTruncated"]:
            answer["NextContinuationToken"] = page[-1]
        return answer

    def get_paginator(self, operation: str) -> "FakePaginator":
        assert operation == "list_objects_v2"
        return FakePaginator(self)

    def _listed(self, key: str) -> dict[str, Any]:
        stored = self.objects[key]
        return {
            "Key": key,
            "ETag": f'"{stored.etag}"',
            "Size": len(stored.body),
            "LastModified": stored.last_modified.replace(microsecond=0),
        }

    def _find(self, operation: str, key: str, code: str) -> FakeObject:
        if key not in self.objects:
            raise error(operation, 404, code)
        return self.objects[key]

    def _check(
        self, operation: str, key: str, if_match: str | None, if_none_match: str | None
    ) -> None:
        stored = self.objects.get(key)
        if if_none_match not in (None, "*"):
            raise error(operation, 501, "NotImplemented")  # S3 takes no other in a write
        if if_none_match is not None and stored is not None:
            raise error(operation, 412, "PreconditionFailed")
        if if_match is not None and stored is None:
            raise error(operation, 404, "NoSuchKey")
        if if_match is not None and stored is not None and stored.etag != if_match.strip('"'):
            raise error(operation, 412, "PreconditionFailed")


@dataclass(frozen=True)
class FakePaginator:
    s3: "FakeS3"

    def paginate(self, **request: Any) -> Iterator[dict[str, Any]]:
        token = ""
        while True:
            page = self.s3.list_objects_v2(**request, ContinuationToken=token)
            yield page
            if not page["IsTruncated"]:
                return
            token = page["NextContinuationToken"]


def _rolled_up(keys: list[str], prefix: str, delimiter: str) -> list[str]:
    rolled = []
    for key in keys:
        head, separator, _ = key.removeprefix(prefix).partition(delimiter)
        rolled.append(prefix + head + delimiter if separator else key)
    return sorted(set(rolled))


@dataclass
class FakeSQS:
    """Remembers what was sent: (queue URL, decoded body, delay in seconds)."""

    sent: list[tuple[str, Any, int]] = field(default_factory=list)
    visibility: list[tuple[str, str, int]] = field(default_factory=list)

    def send_message(
        self, *, QueueUrl: str, MessageBody: str, DelaySeconds: int = 0, MessageGroupId: str = ""
    ) -> dict[str, Any]:
        self.sent.append((QueueUrl, json.loads(MessageBody), DelaySeconds))
        return {"MessageId": str(len(self.sent))}

    def change_message_visibility(
        self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int
    ) -> dict[str, Any]:
        self.visibility.append((QueueUrl, ReceiptHandle, VisibilityTimeout))
        return {}


@dataclass
class FakeEvents:
    """EventBridge's client: remembers the entries that it took, with their details decoded.

    `hook` is called before and `after` after each call; either may raise. `refusal`: the error code
    of an entry that PutEvents does not take, for which it answers 200 all the same.
    """

    hook: Hook = no_hook
    after: Hook = no_hook
    refusal: str = ""
    taken: list[dict[str, Any]] = field(default_factory=list)

    def put_events(self, *, Entries: list[dict[str, str]]) -> dict[str, Any]:
        self.hook("PutEvents", "")
        if self.refusal:
            entry = {"ErrorCode": self.refusal, "ErrorMessage": "as asked for"}
            return {"FailedEntryCount": 1, "Entries": [entry]}
        self.taken += [{**entry, "Detail": json.loads(entry["Detail"])} for entry in Entries]
        self.after("PutEvents", "")
        return {"FailedEntryCount": 0, "Entries": [{"EventId": str(len(self.taken))}]}

    @property
    def details(self) -> list[dict[str, Any]]:
        return [entry["Detail"] for entry in self.taken]
