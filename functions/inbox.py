"""The inbox, read one object at a time."""

from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from aws.bucket import Bucket
from aws.errors import is_absent
from batch.unreadable import OtherObjects, denial_of
from domain.result import Source

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client


BELIEVED_RECEIVES = 3
"""From this receive on a denial that may be about all objects is held against others.

A permission that is being changed is denied and granted in turns for some seconds."""


@dataclass(frozen=True, slots=True)
class Image:
    """An inbox object as it was looked at."""

    key: str
    source: Source
    last_modified: datetime


@dataclass(frozen=True, slots=True)
class FetchedImage(Image):
    """An image with its bytes."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Unreadable(Image):
    """An image that cannot be read, while others can be; `why` is a sentence, and what to do."""

    why: str


@dataclass(frozen=True, slots=True)
class Absent:
    """No object under this key."""


def peek(s3: "S3Client", bucket: str, key: str) -> Image | Absent:
    """The image without its bytes; of one that HEAD does not show, as the listing has it."""
    try:
        head = s3.head_object(Bucket=bucket, Key=key)
    except ClientError as error:
        if denial_of(error) is None:
            return absent(error)
        listed = next(iter(Bucket(s3, bucket).page(key)), None)
        if listed is None or listed.key != key:
            raise
        source = Source(bucket, listed.etag, None, listed.size)
        return Image(key, source, listed.last_modified)
    return Image(key, _source(bucket, head), head["LastModified"])


def fetch(
    s3: "S3Client", bucket: str, key: str, limit: int, others: OtherObjects | None = None
) -> Image | Absent:
    """A Photo; an image of more than `limit` bytes comes without them.

    Unreadable where S3 says so of this very object; and where it might say so of all objects, if
    one of the `others` is read meanwhile. Without them that is trouble, and is raised.
    """
    try:
        response = s3.get_object(Bucket=bucket, Key=key)
    except ClientError as error:
        denial = denial_of(error)
        if denial is None:
            return absent(error)
        if not denial.certain and (others is None or not others.are_readable(key)):
            raise
        return _unreadable(s3, bucket, key, error)
    source = _source(bucket, response)
    with closing(response["Body"]) as body:
        if source.bytes > limit:
            return Image(key, source, response["LastModified"])
        return FetchedImage(key, source, response["LastModified"], body.read())


def _unreadable(s3: "S3Client", bucket: str, key: str, error: ClientError) -> Unreadable | Absent:
    """Read once more, so that what is said about it is about the version that is there.

    Raises `error` where it can be read now: there was trouble, and it has passed.
    """
    image = peek(s3, bucket, key)
    if isinstance(image, Absent):
        return image
    try:
        s3.get_object(Bucket=bucket, Key=key)["Body"].close()
    except ClientError as again:
        denial = denial_of(again)
        if denial is None:
            return absent(again)
        return Unreadable(key, image.source, image.last_modified, denial.why)
    raise error


def absent(error: ClientError) -> Absent:
    """Raises `error` where it says anything else."""
    if is_absent(error):
        return Absent()
    raise error


def _source(bucket: str, head: Any) -> Source:
    return Source(bucket, head["ETag"].strip('"'), head.get("VersionId"), head["ContentLength"])
