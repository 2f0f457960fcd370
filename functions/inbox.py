"""The inbox, read one object at a time."""

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from domain.result import Source

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client


@dataclass(frozen=True, slots=True)
class Image:
    """An inbox object as it was looked at."""

    key: str
    source: Source
    last_modified: datetime


@dataclass(frozen=True, slots=True)
class Photo(Image):
    """An image with its bytes."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Absent:
    """No object under this key."""


def peek(s3: "S3Client", bucket: str, key: str) -> Image | Absent:
    """The image without its bytes."""
    try:
        head = s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        return absent(error)
    return Image(key, _source(bucket, head), head["LastModified"])


def fetch(s3: "S3Client", bucket: str, key: str, limit: int) -> Image | Absent:
    """A Photo; an image of more than `limit` bytes comes without them."""
    try:
        found = s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        return absent(error)
    source = _source(bucket, found)
    with closing(found["Body"]) as body:
        if source.bytes > limit:
            return Image(key, source, found["LastModified"])
        return Photo(key, source, found["LastModified"], body.read())


def absent(error: ClientError) -> Absent:
    """404 only. Without s3:ListBucket an absent key is 403: trouble of ours, never an answer."""
    if status(error) == 404 and error.response["Error"]["Code"] != "NoSuchBucket":
        return Absent()
    raise error


def status(error: ClientError) -> int:
    return error.response["ResponseMetadata"]["HTTPStatusCode"]


def _source(bucket: str, head: Any) -> Source:
    return Source(bucket, head["ETag"].strip('"'), head.get("VersionId"), head["ContentLength"])
