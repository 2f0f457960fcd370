"""`models/active.json`: which model answers now, and which did before."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from domain import keys
from domain.errors import SortboxError
from domain.model import ActiveModel

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

RESTORES = "restores-version"
"""S3 metadata of a pointer that a rollback wrote: the version of the pointer that it repeats."""

LOST = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchKey"})


class PointerMoved(SortboxError):
    """Somebody else moved the pointer since it was read."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """As it was read; `etag` is None where there is none yet."""

    active: ActiveModel | None
    etag: str | None


@dataclass(frozen=True, slots=True)
class Earlier:
    active: ActiveModel
    version: str
    """Of the object in S3."""


def read(s3: "S3Client", bucket: str) -> Pointer:
    try:
        found = s3.get_object(Bucket=bucket, Key=keys.ACTIVE_MODEL)
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchKey":
            raise
        return Pointer(None, None)
    return Pointer(ActiveModel.from_json(found["Body"].read()), found["ETag"])


def move(
    s3: "S3Client",
    bucket: str,
    pointer: Pointer,
    active: ActiveModel,
    restores: Earlier | None = None,
) -> None:
    """Raises PointerMoved."""
    body, kind = active.to_json().encode(), "application/json"
    said = {RESTORES: restores.version} if restores else {}
    key = keys.ACTIVE_MODEL
    try:
        if pointer.etag is None:
            s3.put_object(
                Bucket=bucket, Key=key, Body=body, ContentType=kind, Metadata=said, IfNoneMatch="*"
            )
        else:
            s3.put_object(
                Bucket=bucket,
                Key=key,
                Body=body,
                ContentType=kind,
                Metadata=said,
                IfMatch=pointer.etag,
            )
    except ClientError as error:
        if error.response["Error"]["Code"] not in LOST:
            raise
        raise PointerMoved(f"{key} was moved by somebody else meanwhile") from None


def before(s3: "S3Client", bucket: str) -> Earlier | None:
    """The model that was active before the present one, by the pointer's own history.

    Going back twice goes back two models: a pointer that repeats an earlier version stands where
    that version stood. One GET for each version passed, so as many as models were activated since.
    """
    now = s3.get_object(Bucket=bucket, Key=keys.ACTIVE_MODEL)
    present = ActiveModel.from_json(now["Body"].read())
    stands_at: str | None = now["Metadata"].get(RESTORES, now["VersionId"])
    for version in _versions(s3, bucket):
        if stands_at is not None:  # what lies between was gone back from
            stands_at = None if version == stands_at else stands_at
            continue
        found = s3.get_object(Bucket=bucket, Key=keys.ACTIVE_MODEL, VersionId=version)
        active = ActiveModel.from_json(found["Body"].read())
        stood_at = found["Metadata"].get(RESTORES, version)
        if active.id != present.id:
            return Earlier(active, stood_at)
        stands_at = None if stood_at == version else stood_at
    return None


def _versions(s3: "S3Client", bucket: str) -> Iterator[str]:
    """Newest first."""
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, Prefix=keys.ACTIVE_MODEL
    )
    for page in pages:
        for found in page.get("Versions", []):
            if found["Key"] == keys.ACTIVE_MODEL:
                yield found["VersionId"]
