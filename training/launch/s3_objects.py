"""Addresses and listings of S3 objects that a person names."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from training.config.errors import TrainingFailed

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

S3 = "s3://"


@dataclass(frozen=True, slots=True)
class S3Object:
    key: str
    size: int
    etag: str
    """With its quotes, as S3 writes it."""


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key."""
    bucket, _, key = uri.removeprefix(S3).partition("/")
    return bucket, key


def list_objects(s3: "S3Client", bucket: str, prefix: str) -> Iterator[S3Object]:
    """In the order of their keys, a thousand a request, whichever region the bucket is in: botocore
    follows S3's redirect.

    Without folders' placeholders, except those that no folder can have (`a//`). Raises
    TrainingFailed for a bucket that is missing or denied.
    """
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    try:
        for page in pages:
            for item in page.get("Contents", []):
                if not item["Key"].endswith("/") or item["Key"].endswith("//"):
                    yield S3Object(item["Key"], item["Size"], item["ETag"])
    except ClientError as error:
        raise TrainingFailed(f"{S3}{bucket}/{prefix} cannot be listed: {error}") from error
