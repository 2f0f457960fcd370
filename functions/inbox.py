"""Read single objects of the inbox."""

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
"""From this receive of a message on, a denied read is compared with reads of other objects.

Earlier ones are retried: while a permission is being changed, S3 may deny and allow in turns for
some seconds."""


@dataclass(frozen=True, slots=True)
class Image:
    """An inbox object as it was read, without its content."""

    key: str
    source: Source
    last_modified: datetime


@dataclass(frozen=True, slots=True)
class FetchedImage(Image):
    """An image with its bytes."""

    content: bytes


@dataclass(frozen=True, slots=True)
class Unreadable(Image):
    """An image that S3 does not let us read, while it lets us read others.

    `why` is a sentence with the reason and what to do.
    """

    why: str


@dataclass(frozen=True, slots=True)
class Absent:
    """There is no object with this key."""


def peek(s3: "S3Client", bucket: str, key: str) -> Image | Absent:
    """The image without its content, by HEAD, or by a listing if HEAD is denied."""
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
    """Read the image: a FetchedImage, or an Image without content if it exceeds `limit` bytes.

    Returns Unreadable if S3 denies access to this object in particular. A denial that could affect
    all objects counts only if one of the `others` can be read; otherwise it is raised.
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
    """Read the image again, so that the denial and the version belong together.

    Raises `error` if the second read succeeds: the denial was temporary.
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
    """Absent if `error` means that; raises `error` otherwise."""
    if is_absent(error):
        return Absent()
    raise error


def _source(bucket: str, head: Any) -> Source:
    return Source(bucket, head["ETag"].strip('"'), head.get("VersionId"), head["ContentLength"])
