"""S3 URIs, and transfers of whole folders to and from S3, in memory independent of the number of
files.
"""

import tarfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from domain.file_names import UnsafeName, below

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


@dataclass(frozen=True, slots=True)
class Location:
    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> "Location":
        """Parse a URI. Raises ValueError if it is not s3://BUCKET/KEY; the key may be empty."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if not uri.startswith("s3://") or not bucket:
            raise ValueError(f"not an S3 URI: {uri!r}")
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


TRANSFER_THREADS = 8
KEYS_PER_BATCH = 1000
"""The keys that are passed to the threads together: one page of a listing."""

FileVersion = tuple[int, int]
"""A file's modification time in nanoseconds, and its size."""


class TransferRefused(ValueError):
    """A key cannot be a file's name, or there are no objects; the message says which."""


def download(s3: "S3Client", prefix: Location, folder: Path) -> int:
    """Download every object of the prefix; returns the number of files. Raises TransferRefused."""
    count = 0
    keys = _keys(s3, prefix)
    with ThreadPoolExecutor(TRANSFER_THREADS) as pool:
        while batch := list(islice(keys, KEYS_PER_BATCH)):
            list(pool.map(lambda key: _fetch(s3, prefix, key, folder), batch))
            count += len(batch)
    return count


def relative(prefix: str, key: str) -> PurePosixPath:
    """The path of an object below its channel's folder."""
    try:
        return below(prefix, key)
    except UnsafeName as error:
        raise TransferRefused(f"the key cannot be a file in a container: {error}") from error


def _keys(s3: "S3Client", prefix: Location) -> Iterator[str]:
    """The prefix's keys. SageMaker's message for `//` is in
    aws-samples/generative-ai-on-amazon-sagemaker, PR 242.
    """
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=prefix.bucket, Prefix=prefix.key)
    for page in pages:
        for item in page.get("Contents", []):
            if "//" in item["Key"]:
                raise TransferRefused(
                    "Data download failed:Failed to download data. S3 key: "
                    f"{Location(prefix.bucket, item['Key'])} has an illegal char sub-sequence '//' "
                    "in it"
                )
            if not item["Key"].endswith("/"):
                yield item["Key"]


def _fetch(s3: "S3Client", prefix: Location, key: str, folder: Path) -> None:
    target = folder / relative(prefix.key, key)
    target.parent.mkdir(parents=True, exist_ok=True)
    s3.download_file(prefix.bucket, key, str(target))


def upload_changed(
    s3: "S3Client", folder: Path, to: Location, uploaded: dict[Path, FileVersion]
) -> None:
    """Upload each file that differs from its version in `uploaded`, and update `uploaded`.

    Deleted files stay in S3, as in SageMaker. A file that disappears during the upload is skipped.
    """
    for path, version in file_versions(folder).items():
        key = f"{to.key.rstrip('/')}/{path.relative_to(folder).as_posix()}".lstrip("/")
        if uploaded.get(path) != version:
            with suppress(FileNotFoundError):
                s3.upload_file(str(path), to.bucket, key)
                uploaded[path] = version


def file_versions(folder: Path) -> dict[Path, FileVersion]:
    """The current version of each file."""
    versions = {}
    for path in _files(folder):
        with suppress(FileNotFoundError):
            stat = path.stat()
            versions[path] = (stat.st_mtime_ns, stat.st_size)
    return versions


def _files(folder: Path) -> Iterable[Path]:
    """Regular files only: a link could lead out of the container's folder."""
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def upload_archive(s3: "S3Client", folder: Path, to: Location, scratch: Path) -> bool:
    """Upload the folder's files as one tar.gz; returns False, without an upload, if there
    are none.
    """
    files = list(_files(folder))
    if not files:
        return False
    with tarfile.open(scratch, "w:gz", compresslevel=1) as archive:
        for path in files:
            archive.add(path, path.relative_to(folder).as_posix(), recursive=False)
    s3.upload_file(str(scratch), to.bucket, to.key)
    scratch.unlink()
    return True
