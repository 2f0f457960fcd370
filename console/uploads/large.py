"""Files of more than one part: multipart uploads, which go on from the parts that S3 has.

Which upload belongs to which content is noted in a small file on this machine. Without it the
upload begins again, and the bucket's lifecycle removes the parts of the old one after a day.
"""

import hashlib
import mimetypes
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from aws.bucket import Bucket
from aws.errors import code_of, is_absent, is_lost_race, status_of
from console.uploads.content import METADATA, PART_BYTES, part_count
from domain.errors import SortboxError

NO_UPLOAD = "NoSuchUpload"


class UploadGoneError(SortboxError):
    """S3 has no such upload (any more), or not all of its parts: it has to begin again."""


@dataclass(frozen=True, slots=True)
class LargeFile:
    """A file of several parts; `fingerprint` is that of `console.uploads.content`."""

    key: str
    size: int
    fingerprint: str

    @property
    def note(self) -> str:
        """The name of the file that notes its upload."""
        content = f"{self.key}\0{self.size}\0{self.fingerprint}"
        return hashlib.sha256(content.encode()).hexdigest()

    def part_bytes(self, number: int) -> int:
        """The size of a part; they count from 1."""
        return min(PART_BYTES, self.size - (number - 1) * PART_BYTES)


@dataclass(frozen=True, slots=True)
class LargeUploads:
    """`folder` holds a note of about a hundred bytes for each upload that is not finished."""

    bucket: Bucket
    folder: Path

    def begin(self, file: LargeFile) -> list[int]:
        """The numbers of the parts that S3 lacks; begins the upload if there is none."""
        numbers = range(1, part_count(file.size) + 1)
        upload = self._noted(file)
        if upload:
            try:
                parts = {number for number, _ in self._parts(file, upload)}
                return [number for number in numbers if number not in parts]
            except UploadGoneError:
                self.forget(file)
        answer = self.bucket.client.create_multipart_upload(
            Bucket=self.bucket.name,
            Key=file.key,
            ContentType=content_type(file.key),
            Metadata={METADATA: file.fingerprint},
        )
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        note = self.folder / file.note
        unfinished = note.with_suffix(".part")
        unfinished.write_text(answer["UploadId"])
        unfinished.replace(note)
        return list(numbers)

    def put(self, file: LargeFile, number: int, body: bytes) -> None:
        """Send a part. Raises UploadGoneError."""
        upload = self._require(file)
        if len(body) != file.part_bytes(number):
            raise UploadGoneError("The file has changed while it was sent: drop it again.")
        try:
            self.bucket.client.upload_part(
                Bucket=self.bucket.name,
                Key=file.key,
                UploadId=upload,
                PartNumber=number,
                Body=body,
            )
        except ClientError as error:
            raise self._gone(file) if is_absent(error) else error from error

    def finish(self, file: LargeFile, etag: str | None) -> bool:
        """Make the object of its parts, if the object there still has this ETag (None: is absent);
        False if it does not. Raises UploadGoneError.
        """
        upload = self._require(file)
        parts = dict(self._parts(file, upload))
        if len(parts) < part_count(file.size):
            raise UploadGoneError("Not all parts of the file are there: they are sent again.")
        named: Any = [{"PartNumber": number, "ETag": parts[number]} for number in sorted(parts)]
        condition: Any = {"IfMatch": f'"{etag}"'} if etag else {"IfNoneMatch": "*"}
        try:
            self.bucket.client.complete_multipart_upload(
                Bucket=self.bucket.name,
                Key=file.key,
                UploadId=upload,
                MultipartUpload={"Parts": named},
                **condition,
            )
        except ClientError as error:
            # After a 409 S3 wants the upload to begin again.
            if code_of(error) == NO_UPLOAD or status_of(error) == HTTPStatus.CONFLICT:
                raise self._gone(file) from error
            if is_lost_race(error):
                return False
            raise
        self.forget(file)
        return True

    def forget(self, file: LargeFile) -> None:
        (self.folder / file.note).unlink(missing_ok=True)

    def _noted(self, file: LargeFile) -> str | None:
        try:
            return (self.folder / file.note).read_text()
        except FileNotFoundError:
            return None

    def _require(self, file: LargeFile) -> str:
        upload = self._noted(file)
        if not upload:
            raise self._gone(file)
        return upload

    def _gone(self, file: LargeFile) -> UploadGoneError:
        self.forget(file)
        return UploadGoneError("The upload of the file was ended in S3: it begins again.")

    def _parts(self, file: LargeFile, upload: str) -> Iterator[tuple[int, str]]:
        """The number and the ETag of each whole part: at most 10 pages of 1,000."""
        pages = self.bucket.client.get_paginator("list_parts").paginate(
            Bucket=self.bucket.name, Key=file.key, UploadId=upload
        )
        try:
            for page in pages:
                for part in page.get("Parts", []):
                    if part["Size"] == file.part_bytes(part["PartNumber"]):
                        yield part["PartNumber"], part["ETag"]
        except ClientError as error:
            raise self._gone(file) if is_absent(error) else error from error


def content_type(key: str) -> str:
    """The media type that S3 stores with the object, by its name."""
    return mimetypes.guess_type(key)[0] or "binary/octet-stream"
