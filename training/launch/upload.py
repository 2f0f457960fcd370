"""Training data and weights in the bucket: validated first, uploaded once, named by content."""

import hashlib
import os
import stat
import tempfile
from collections.abc import Callable, Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from PIL import Image

from domain import keys
from domain.class_folders import folder_of
from domain.file_names import Names, UnsafeName, below
from domain.ignored.names import DATASET_MANIFEST, DATASET_RECORD
from domain.ignored.reasons import why_path_ignored
from domain.route import LARGEST_BYTES
from serving.files import check_regular
from training.config.errors import TrainingFailed
from training.config.train_config import TrainConfig
from training.data import dataset as data
from training.data.dataset import Dataset, Example
from training.data.unused import EXAMPLES_SHOWN, Record, UnusedFiles
from training.launch.s3_objects import S3, list_objects, split_uri

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

THREADS = 16
FILES_AT_ONCE = 1_000
"""Queued for the threads: a million futures would fill memory."""

IMAGES_PER_FOLDER = 4
"""Per folder of the layout: enough to derive both missing splits."""

OnProgress = Callable[[int, int], None]
"""Called with the number of completed and of all files."""


def inspect_source(
    s3: "S3Client", source: str, config: TrainConfig, exclude: Set[str] = frozenset()
) -> Dataset:
    """Reads a local folder completely, of S3 the layout only. `exclude`: paths of images of a local
    folder. Raises TrainingFailed.
    """

    def check_interrupt() -> None:
        """Ctrl-C interrupts by itself."""

    needs_test = config.selects_by_validation
    if not source.startswith(S3):
        dataset = data.prepare(Path(source), needs_test, config.max_unreadable, check_interrupt)
        return data.leave_out(dataset, _own_paths(dataset, exclude)) if exclude else dataset
    if exclude:
        raise TrainingFailed(
            f"A list can leave out images of a folder, and {source} is in S3: download the images, "
            "or remove those on the list there."
        )
    unused = UnusedFiles()
    with _skeleton(s3, source, unused) as folder:
        dataset = data.prepare(folder, needs_test, config.max_unreadable, check_interrupt)
    unused.merge(dataset.unused)
    return replace(dataset, unused=unused)


def _own_paths(dataset: Dataset, listed: Set[str]) -> Set[str]:
    """Images are listed by their path in the folder, or by that which they had in a job; what is
    neither stays as it is listed.
    """
    own = {
        example.path
        for split, examples in dataset.splits.items()
        for example in examples
        if key_in_dataset(split, example, dataset) in listed
    }
    return own | listed


@contextmanager
def _skeleton(s3: "S3Client", source: str, unused: UnusedFiles) -> Iterator[Path]:
    """The folders of a prefix with a few small images: the layout without the content. Files of
    systems and programs are counted in `unused`.

    Raises TrainingFailed for keys that cannot be files where the job runs.
    """
    bucket, prefix = split_uri(source)
    counts: dict[PurePosixPath, int] = {}
    names, unsafe = Names(ignore_case=False), list[str]()
    with tempfile.TemporaryDirectory(prefix="sortbox-") as name:
        picture = Path(name, ".picture.png")
        Image.new("RGB", (8, 8)).save(picture)
        for item in list_objects(s3, bucket, prefix):
            try:
                path = below(prefix, item.key)
                names.add(path)
            except UnsafeName as error:
                unsafe.append(str(error))
                continue
            if reason := why_path_ignored(str(path)):
                unused.add(str(path), reason)
                continue
            number = counts[path.parent] = counts.get(path.parent, 0) + 1
            if number <= IMAGES_PER_FOLDER:
                target = Path(name, "data", path)
                target.parent.mkdir(parents=True, exist_ok=True)
                target.hardlink_to(picture)
        if unsafe:
            raise TrainingFailed(
                f"{len(unsafe):,} keys at {source} cannot be files, such as "
                f"{data.summarize(unsafe)}: rename or remove them."
            )
        if not counts:
            raise TrainingFailed(f"There is nothing at {source}.")
        yield Path(name, "data")


def size_of(dataset: Dataset) -> int:
    """In bytes."""
    return sum(
        (dataset.root / example.path).stat().st_size
        for examples in dataset.splits.values()
        for example in examples
    )


def upload_dataset(s3: "S3Client", bucket: str, dataset: Dataset, on_progress: OnProgress) -> str:
    """Returns the dataset's s3:// address. Files that exist there are not uploaded again."""
    prefix = keys.dataset_prefix(dataset.fingerprint)
    existing = {item.key: item.size for item in list_objects(s3, bucket, prefix)}
    files = [
        (key_in_dataset(split, example, dataset), example)
        for split, examples in dataset.splits.items()
        for example in examples
    ]
    missing = (
        (dataset.root / example.path, prefix + key)
        for key, example in files
        if existing.get(prefix + key) != (dataset.root / example.path).stat().st_size
    )
    done = len(files) - sum(prefix + key not in existing for key, _ in files)
    on_progress(done, len(files))
    with ThreadPoolExecutor(THREADS) as pool:
        while chunk := list(islice(missing, FILES_AT_ONCE)):
            for _ in pool.map(lambda one: _upload_file(s3, bucket, *one), chunk):
                done = min(done + 1, len(files))
                on_progress(done, len(files))
    left_out = (*dataset.record.left_out_such_as, *dataset.left_out)[:EXAMPLES_SHOWN]
    count = dataset.record.left_out + len(dataset.left_out)
    record = Record(count, left_out, dataset.all_unused)
    s3.put_object(Bucket=bucket, Key=prefix + DATASET_RECORD, Body=record.to_json().encode())
    manifest = dataset.root / DATASET_MANIFEST
    if manifest.is_file():
        _upload_file(s3, bucket, manifest, prefix + DATASET_MANIFEST)
    return f"{S3}{bucket}/{prefix}"


def _upload_file(s3: "S3Client", bucket: str, path: Path, key: str) -> None:
    try:
        check_regular(path.stat(), path, LARGEST_BYTES)  # it may have changed since it was read
        s3.upload_file(str(path), bucket, key)
    except OSError as error:
        raise TrainingFailed(f"{path} cannot be uploaded: {error.strerror}.") from error


def key_in_dataset(split: str, example: Example, dataset: Dataset) -> str:
    """By split and class, also if the split was taken from another."""
    label = dataset.labels[example.label]
    return "/".join((split, str(folder_of(label)), *dataset.inside(example)))


def upload_weights(s3: "S3Client", bucket: str, source: str) -> str:
    """Returns the s3:// address of a local weights file."""
    path = Path(source)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    key = keys.weights_key(digest, path.name)
    if not _exists(s3, bucket, key):
        s3.upload_file(str(path), bucket, key)
    return f"{S3}{bucket}/{key}"


def download(s3: "S3Client", source: str, folder: Path, on_progress: OnProgress) -> tuple[str, ...]:
    """The files of a prefix below `folder`; those that exist are not downloaded again.

    Returns why others were left out: keys that cannot be files below a folder, or that this disk
    cannot tell apart, and objects that are larger than an image may be. Raises TrainingFailed where
    something in `folder` is neither a regular file nor a folder: a link would lead out of it.
    """
    bucket, prefix = split_uri(source)
    folder.mkdir(parents=True, exist_ok=True)
    names = Names(_ignores_case(folder))
    objects: list[tuple[PurePosixPath, str, int]] = []
    left_out: list[str] = []
    for item in list_objects(s3, bucket, prefix):
        try:
            path = below(prefix, item.key)
            names.add(path)
        except UnsafeName as error:
            left_out.append(str(error))
            continue
        if item.size > LARGEST_BYTES:
            left_out.append(f"{path}: larger than {LARGEST_BYTES:,} bytes")
        else:
            objects.append((path, item.key, item.size))

    def fetch(path: PurePosixPath, key: str, size: int) -> None:
        if not _is_downloaded(folder, path, size):
            s3.download_file(bucket, key, str(folder / path))

    with ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(objects), FILES_AT_ONCE):
            chunk = objects[start : start + FILES_AT_ONCE]
            for number, _ in enumerate(pool.map(lambda one: fetch(*one), chunk), start + 1):
                on_progress(number, len(objects))
    return tuple(left_out)


def _is_downloaded(folder: Path, path: PurePosixPath, size: int) -> bool:
    """Creates the parent folders. Raises TrainingFailed if anything but a file is in the way."""
    for above in [*reversed(path.parents)]:
        with suppress(FileExistsError):
            (folder / above).mkdir()
        if not stat.S_ISDIR((folder / above).lstat().st_mode):
            raise TrainingFailed(f"{folder / above} is not a folder, or a link to one: remove it.")
    try:
        status = (folder / path).lstat()
    except FileNotFoundError:
        return False
    if not stat.S_ISREG(status.st_mode):
        raise TrainingFailed(f"{folder / path} is not a regular file: remove it.")
    return status.st_size == size


def _ignores_case(folder: Path) -> bool:
    """Whether the file system is case-insensitive, as on macOS and Windows."""
    with tempfile.NamedTemporaryFile(prefix="sortbox-", dir=folder) as probe:
        return os.path.lexists(Path(probe.name).with_name(Path(probe.name).name.upper()))


def _exists(s3: "S3Client", bucket: str, key: str) -> bool:
    first = next(list_objects(s3, bucket, key), None)
    return first is not None and first.key == key
