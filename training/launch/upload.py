"""Data and weights to learn from, in the bucket: looked at first, sent once, named by content."""

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from PIL import Image

from domain import keys
from domain.class_folders import folder_of
from domain.file_names import Names, UnsafeName, below
from domain.route import LARGEST_BYTES
from serving.files import check_regular
from training.config.errors import TrainingFailed
from training.config.train_config import TrainConfig
from training.data import dataset as data
from training.data.dataset import Dataset, Example
from training.data.folders import inside

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

S3 = "s3://"
THREADS = 16
AT_ONCE = 1_000
"""Files that are queued for the threads: with a million, the futures alone would fill memory."""

ENOUGH = 4
"""Images of a class that, unread, show that both missing splits can be taken from it."""

Tick = Callable[[int, int], None]
"""Told how many of how many files are there."""


def looked_at(s3: "S3Client", source: str, told: TrainConfig) -> Dataset:
    """Whole where it is a folder here; of S3 the layout only. Raises TrainingFailed."""

    def go_on() -> None:
        """Nothing interrupts: Ctrl-C does."""

    if not source.startswith(S3):
        return data.prepare(Path(source), told.selects, told.max_unreadable, go_on)
    with _skeleton(s3, source) as folder:
        return data.prepare(folder, told.selects, told.max_unreadable, go_on)


@contextmanager
def _skeleton(s3: "S3Client", source: str) -> Iterator[Path]:
    """The folders of a prefix with a few small images in each: the layout without the content.

    Raises TrainingFailed for keys that could be no files where the job runs.
    """
    bucket, prefix = split(source)
    seen: dict[PurePosixPath, int] = {}
    names, unsafe = Names(ignore_case=False), list[str]()
    with tempfile.TemporaryDirectory(prefix="sortbox-") as name:
        picture = Path(name, ".picture.png")
        Image.new("RGB", (8, 8)).save(picture)
        for key, _ in _listed(s3, bucket, prefix):
            try:
                path = below(prefix, key)
                names.add(path)
            except UnsafeName as error:
                unsafe.append(str(error))
                continue
            number = seen[path.parent] = seen.get(path.parent, 0) + 1
            if number <= ENOUGH:
                target = Path(name, "data", path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.hardlink_to(picture)
        if unsafe:
            raise TrainingFailed(
                f"{len(unsafe):,} keys at {source} cannot be files, such as {data.some(unsafe)}: "
                "rename or remove them."
            )
        if not seen:
            raise TrainingFailed(f"There is nothing at {source}.")
        yield Path(name, "data")


def sent(s3: "S3Client", bucket: str, dataset: Dataset, tick: Tick) -> str:
    """The dataset's place in S3, every file of it there; one that is there is not sent again."""
    prefix = keys.dataset_prefix(dataset.fingerprint)
    there = dict(_listed(s3, bucket, prefix))
    files = [(place(split, each, dataset), each) for split, all_ in dataset.splits.items()
             for each in all_]  # fmt: skip
    wanted = (
        (dataset.root / each.path, prefix + key)
        for key, each in files
        if there.get(prefix + key) != (dataset.root / each.path).stat().st_size
    )
    done = len(files) - sum(prefix + key not in there for key, _ in files)
    tick(done, len(files))
    with ThreadPoolExecutor(THREADS) as pool:
        while some := list(islice(wanted, AT_ONCE)):
            for _ in pool.map(lambda one: _upload(s3, bucket, *one), some):
                done = min(done + 1, len(files))
                tick(done, len(files))
    return f"{S3}{bucket}/{prefix}"


def _upload(s3: "S3Client", bucket: str, path: Path, key: str) -> None:
    try:
        check_regular(path.stat(), path, LARGEST_BYTES)  # as it was when it was read
        s3.upload_file(str(path), bucket, key)
    except OSError as error:
        raise TrainingFailed(f"{path} cannot be sent: {error.strerror}.") from error


def place(split: str, example: Example, dataset: Dataset) -> str:
    """Always by split and class, also where the split was taken out of another."""
    label = dataset.labels[example.label]
    return "/".join((split, str(folder_of(label)), *inside(example.path, label)))


def weights_sent(s3: "S3Client", bucket: str, source: str) -> str:
    """A file of weights as a channel's place. Raises TrainingFailed where there is none."""
    if source.startswith(S3):
        if not next(_listed(s3, *split(source)), None):
            raise TrainingFailed(f"There are no weights at {source}.")
        return source
    path = Path(source)
    if not path.is_file():
        raise TrainingFailed(
            f"There is no file of weights at {source}; WEIGHTS is a file, s3://…, pretrained "
            "or none."
        )
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    key = keys.weights_key(digest, path.name)
    if not _is_there(s3, bucket, key):
        s3.upload_file(str(path), bucket, key)
    return f"{S3}{bucket}/{key}"


def fetched(s3: "S3Client", source: str, folder: Path, tick: Tick) -> tuple[str, ...]:
    """The files of a prefix below `folder`; those that are there already are not fetched again.

    Returns why others were left out: keys that cannot be files below a folder, or that this disk
    cannot tell apart, and objects that are larger than an image may be. Raises TrainingFailed where
    something in `folder` is no file or folder of ours: a link would lead out of it.
    """
    bucket, prefix = split(source)
    folder.mkdir(parents=True, exist_ok=True)
    names = Names(_ignores_case(folder))
    wanted: list[tuple[PurePosixPath, str, int]] = []
    left_out: list[str] = []
    for key, size in _listed(s3, bucket, prefix):
        try:
            path = below(prefix, key)
            names.add(path)
        except UnsafeName as error:
            left_out.append(str(error))
            continue
        if size > LARGEST_BYTES:
            left_out.append(f"{path}: larger than {LARGEST_BYTES:,} bytes")
        else:
            wanted.append((path, key, size))

    def fetch(path: PurePosixPath, key: str, size: int) -> None:
        if not _is_there_already(folder, path, size):
            s3.download_file(bucket, key, str(folder / path))

    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(wanted), AT_ONCE):
            some = wanted[start : start + AT_ONCE]
            for number, _ in enumerate(pool.map(lambda one: fetch(*one), some), start + 1):
                tick(number, len(wanted))
    return tuple(left_out)


def _is_there_already(folder: Path, path: PurePosixPath, size: int) -> bool:
    """A whole file; its folder is made. Raises TrainingFailed for anything else in the way."""
    for above in [*reversed(path.parents)]:
        with suppress(FileExistsError):
            (folder / above).mkdir()
        if not stat.S_ISDIR((folder / above).lstat().st_mode):
            raise TrainingFailed(f"{folder / above} is no folder, or a link to one: remove it.")
    try:
        found = (folder / path).lstat()
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(found.st_mode):
        raise TrainingFailed(f"{folder / path} is no regular file: remove it.")
    return found.st_size == size


def _ignores_case(folder: Path) -> bool:
    """Whether the disk takes A and a for one file, as macOS and Windows have it."""
    with tempfile.NamedTemporaryFile(prefix="sortbox-", dir=folder) as probe:
        return os.path.lexists(Path(probe.name).with_name(Path(probe.name).name.upper()))


def split(uri: str) -> tuple[str, str]:
    """Bucket and key."""
    bucket, _, key = uri.removeprefix(S3).partition("/")
    return bucket, key


def _listed(s3: "S3Client", bucket: str, prefix: str) -> Iterator[tuple[str, int]]:
    """Keys and sizes, without folders' placeholders. Raises TrainingFailed for no such bucket."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    try:
        for page in pages:
            for found in page.get("Contents", []):
                if not found["Key"].endswith("/"):
                    yield found["Key"], found["Size"]
    except ClientError as error:
        raise TrainingFailed(f"{S3}{bucket}/{prefix} cannot be listed: {error}") from error


def _is_there(s3: "S3Client", bucket: str, key: str) -> bool:
    return next(_listed(s3, bucket, key), ("", 0))[0] == key
