"""Copies objects in S3 that the training role may not read to where it may: below `training/` of
the stage's bucket.

S3 copies them, with the rights of the user and from any region; nothing passes this machine. The
prefix is a hash of names, sizes and ETags, so that an interrupted copy resumes, the same data are
copied once, and data that changed are other data to a job and its checkpoints.
"""

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from aws.errors import code_of, message_of, status_of
from domain import keys
from domain.file_names import below, shown
from infra.diagnostics.cost import load_prices
from training.config.errors import TrainingFailed
from training.launch.s3_objects import S3, S3Object, list_objects, split_uri

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

THREADS = 32
"""Copies at once. S3 takes 3,500 writes a second below a prefix, and fewer below a new one."""

OBJECTS_AT_ONCE = 1_000
"""Queued for the threads: a million futures would fill memory."""

LARGEST_COPY_BYTES = 5 * 10**9
"""CopyObject takes 5 GB; a larger object is copied in parts."""

PARTS = TransferConfig(
    multipart_threshold=LARGEST_COPY_BYTES, multipart_chunksize=512 * 2**20, max_concurrency=8
)

NOTICEABLE_COST = 0.01

OnProgress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class S3Location:
    """Objects in S3 and the names that they have in a job's channel."""

    bucket: str
    prefix: str
    is_object: bool = False
    """The prefix is a key: what else begins with it is left out."""

    @property
    def uri(self) -> str:
        return f"{S3}{self.bucket}/{self.prefix}"

    def objects(self, s3: "S3Client") -> Iterator[S3Object]:
        for item in list_objects(s3, self.bucket, self.prefix):
            if not self.is_object or item.key == self.prefix:
                yield item

    def name_of(self, item: S3Object) -> str:
        """Raises UnsafeName."""
        return str(below(self.prefix, item.key))


@dataclass(frozen=True, slots=True)
class Contents:
    count: int
    size: int
    digest: str
    """Of names, sizes and ETags."""
    longest_key: str = ""
    """The one with the longest name below the source."""


def is_readable_by_role(uri: str, bucket: str) -> bool:
    """Whether a training job may have this address as its channel: infra/stacks/roles.yml lets the
    role read `training/` of the stage's bucket, and a job fails on a key with `//`.
    """
    source, key = split_uri(uri)
    return source == bucket and key.startswith(keys.TRAINING) and "//" not in key


def measure(s3: "S3Client", source: S3Location) -> Contents:
    """Lists the source once and holds none of it: a million objects are 1,000 requests, which cost
    half a cent.
    """
    count, size, digest, longest, longest_key = 0, 0, hashlib.sha256(), 0, ""
    for item in source.objects(s3):
        count, size = count + 1, size + item.size
        digest.update(_line(source, item))
        if (length := len(source.name_of(item).encode())) > longest:
            longest, longest_key = length, item.key
    return Contents(count, size, digest.hexdigest()[:32], longest_key)


def check_names(source: S3Location, contents: Contents) -> None:
    """Raises TrainingFailed for a name that does not fit below the copy."""
    name = str(below(source.prefix, contents.longest_key)) if contents.count else ""
    if len((keys.own_prefix("0" * 32) + name).encode()) > keys.KEY_BYTES:
        raise TrainingFailed(
            f"The name of {shown(contents.longest_key)} is too long: below "
            f"{keys.own_prefix('…')} it would exceed the {keys.KEY_BYTES:,} bytes of a key. "
            "Shorten it."
        )


def _line(source: S3Location, item: S3Object) -> bytes:
    return f"{source.name_of(item)}\0{item.size}\0{item.etag}\n".encode()


def announcement(source: str, contents: Contents, target: str, route: str) -> str:
    """What is about to be copied, why, and what it costs. `route`: of `route_of`."""
    prices = load_prices()
    cost = contents.count / 1000 * prices.s3_put_or_list_per_1000
    billed = (
        f" The requests cost about {prices.currency} {cost:.2f}." if cost >= NOTICEABLE_COST else ""
    )
    return (
        f"Training jobs read training/ of the stage's bucket only: {contents.count:,} objects "
        f"({contents.size / 1e9:,.1f} GB) of {source} are copied to {target}{route}, within S3. "
        f"The copy is kept, and billed as storage, until you delete it.{billed} Ctrl-C stops it; "
        "the same command resumes it."
    )


def route_of(s3: "S3Client", bucket: str) -> str:
    """For the sentence: nothing within a region, or where it cannot be known."""
    try:
        there = s3.head_bucket(Bucket=bucket).get("BucketRegion", "")
    except ClientError:
        return ""
    here = s3.meta.region_name
    if there in ("", here):
        return ""
    return f", from {there} to {here}, which AWS bills by the gigabyte"


def copy(
    s3: "S3Client", source: S3Location, contents: Contents, bucket: str, on_progress: OnProgress
) -> str:
    """Returns the address of the copy. Objects that are there in their size are not copied again.

    Holds the names that are there, some 200 bytes each: a million, 200 MB. Raises TrainingFailed.
    """
    prefix = keys.own_prefix(contents.digest)
    there = {item.key: item.size for item in list_objects(s3, bucket, prefix)}
    done, digest, items = 0, hashlib.sha256(), source.objects(s3)
    on_progress(0, contents.count)
    with ThreadPoolExecutor(THREADS) as pool:
        while chunk := list(islice(items, OBJECTS_AT_ONCE)):
            for item in chunk:
                digest.update(_line(source, item))
            missing = [
                item for item in chunk if there.get(prefix + source.name_of(item)) != item.size
            ]
            done += len(chunk) - len(missing)
            on_progress(done, contents.count)
            for _ in pool.map(lambda item: _copy_object(s3, source, item, bucket, prefix), missing):
                done += 1
                on_progress(done, contents.count)
    if digest.hexdigest()[:32] != contents.digest:
        raise _changed(source.uri)
    return f"{S3}{bucket}/{prefix}"


def _copy_object(
    s3: "S3Client", source: S3Location, item: S3Object, bucket: str, prefix: str
) -> None:
    key = prefix + source.name_of(item)
    try:
        if item.size > LARGEST_COPY_BYTES:
            copy_in_parts(s3, source.bucket, item, bucket, key)
            return
        s3.copy_object(
            Bucket=bucket,
            Key=key,
            CopySource={"Bucket": source.bucket, "Key": item.key},
            CopySourceIfMatch=item.etag,
            TaggingDirective="REPLACE",  # by none: copying tags takes permissions of its own
        )
    except ClientError as error:
        raise _failed(f"{S3}{source.bucket}/{item.key}", error) from error


def copy_in_parts(
    s3: "S3Client",
    source_bucket: str,
    item: S3Object,
    bucket: str,
    key: str,
    parts: TransferConfig = PARTS,
) -> None:
    s3.copy(
        {"Bucket": source_bucket, "Key": item.key},
        bucket,
        key,
        ExtraArgs={"CopySourceIfMatch": item.etag, "TaggingDirective": "REPLACE"},
        Config=parts,
    )


def _failed(uri: str, error: ClientError) -> TrainingFailed:
    if status_of(error) in (404, 412):
        return _changed(uri)
    match code_of(error):
        case "InvalidObjectState":
            return TrainingFailed(f"{uri} is archived. Restore it, or leave it out.")
        case "AccessDenied" | "403":
            return TrainingFailed(
                f"{uri} may not be read by you, or the stage's bucket not be written: "
                f"{message_of(error)}. Copying takes s3:GetObject on it, kms:Decrypt on its key if "
                "it has one, and s3:PutObject on the stage's training/. No job was started."
            )
        case _:
            return TrainingFailed(f"{uri} cannot be copied: {message_of(error)}")


def _changed(uri: str) -> TrainingFailed:
    return TrainingFailed(f"{uri} changed while it was copied: run the command again.")
