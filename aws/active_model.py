"""`models/active.json`: the pointer to the active model, and its history."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from aws.bucket import Bucket
from domain import keys
from domain.errors import SortboxError
from domain.model import ActiveModel

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

RESTORES = "restores-version"
"""S3 metadata of a pointer that a rollback wrote: the version id of the pointer it restored."""


class PointerMovedError(SortboxError):
    """Another process has moved the pointer since it was read."""


@dataclass(frozen=True, slots=True)
class Pointer:
    """The pointer as it was read; both fields are None if no model has been activated yet."""

    active: ActiveModel | None
    etag: str | None


@dataclass(frozen=True, slots=True)
class PreviousModel:
    """A model that was active earlier; `version` is the S3 version id of its pointer."""

    active: ActiveModel
    version: str


def read(s3: "S3Client", bucket: str) -> Pointer:
    """Read the pointer, with the ETag that `move` compares."""
    stored = Bucket(s3, bucket).read(keys.ACTIVE_MODEL)
    return (
        Pointer(ActiveModel.from_json(stored.body), stored.etag) if stored else Pointer(None, None)
    )


def move(
    s3: "S3Client",
    bucket: str,
    pointer: Pointer,
    active: ActiveModel,
    restores: PreviousModel | None = None,
) -> None:
    """Point to `active`, if the pointer is still as in `pointer` (compare-and-set).

    `restores` is the earlier model that a rollback goes back to. Raises PointerMovedError if
    another process has moved the pointer.
    """
    about = {RESTORES: restores.version} if restores else {}
    body = active.to_json().encode()
    if not Bucket(s3, bucket).replace(keys.ACTIVE_MODEL, body, pointer.etag, metadata=about):
        raise PointerMovedError(f"{keys.ACTIVE_MODEL} was moved by somebody else meanwhile")


def before(s3: "S3Client", bucket: str) -> PreviousModel | None:
    """The model that was active before the current one, from the pointer's version history.

    A pointer that a rollback wrote counts as the version it restored, so that two rollbacks go back
    two models. None if there is no other model. Costs one GET for each version that is examined.
    """
    now = s3.get_object(Bucket=bucket, Key=keys.ACTIVE_MODEL)
    present = ActiveModel.from_json(now["Body"].read())
    stands_at: str | None = now["Metadata"].get(RESTORES, now["VersionId"])
    for version in _versions(s3, bucket):
        if stands_at is not None:  # versions in between have been rolled back
            stands_at = None if version == stands_at else stands_at
            continue
        stored = s3.get_object(Bucket=bucket, Key=keys.ACTIVE_MODEL, VersionId=version)
        active = ActiveModel.from_json(stored["Body"].read())
        stood_at = stored["Metadata"].get(RESTORES, version)
        if active.id != present.id:
            return PreviousModel(active, stood_at)
        stands_at = None if stood_at == version else stood_at
    return None


@dataclass(frozen=True, slots=True)
class PointerMove:
    """A time that the pointer was written."""

    active: ActiveModel
    is_rollback: bool


def history(s3: "S3Client", bucket: str, limit: int) -> list[PointerMove]:
    """The latest moves of the pointer, the newest first. Costs one GET for each of them."""
    moves = []
    for version in islice(_versions(s3, bucket), limit):
        stored = s3.get_object(Bucket=bucket, Key=keys.ACTIVE_MODEL, VersionId=version)
        active = ActiveModel.from_json(stored["Body"].read())
        moves.append(PointerMove(active, RESTORES in stored["Metadata"]))
    return moves


def _versions(s3: "S3Client", bucket: str) -> Iterator[str]:
    """The pointer's version ids, newest first."""
    pages = s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, Prefix=keys.ACTIVE_MODEL
    )
    for page in pages:
        for version in page.get("Versions", []):
            if version["Key"] == keys.ACTIVE_MODEL:
                yield version["VersionId"]
