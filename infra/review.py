"""Download images for review, into one folder per class that training can read.

Without a CSV, download every image that the runs have listed in `outbox/_review/` into the folder
of its label. The user moves the wrong ones into the right folders. Alternatively, the user fills
the column `corrected` of a list: then only the images with an entry in that column are downloaded,
into the folder of the corrected label. Training reads the folders back as the same labels
(`domain.class_folders`).
"""

import hashlib
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from aws.bucket import Bucket
from batch.reports.review import PREFIX
from domain.class_folders import CONTINUES, ClassFolders
from domain.errors import SortboxError
from domain.keys import INBOX
from domain.route import LARGEST_BYTES
from domain.tables import reader


class ReviewError(SortboxError):
    """The list is invalid or cannot be read; the message is for the user."""


@dataclass(frozen=True, slots=True)
class ReviewEntry:
    """An image of a list. `corrected` is empty if the user has not entered a label."""

    image: str
    etag: str
    label: str
    corrected: str


@dataclass(frozen=True, slots=True)
class FetchCounts:
    fetched: int
    changed: int
    """Images that were deleted or overwritten since they were listed."""


def read_lists(bucket: Bucket) -> Iterator[ReviewEntry]:
    """The entries of all runs' lists; an image that is in several lists is yielded once."""
    images = set()
    for item in bucket.walk(PREFIX):
        stored = bucket.read(item.key)
        for entry in parse(stored.body if stored else b"", item.key):
            if entry.image not in images:
                images.add(entry.image)
                yield entry


def parse(body: bytes, name: str, encoding: str = "") -> Iterator[ReviewEntry]:
    """Parse a list, as the run has written it or as a spreadsheet has saved it.

    Raises TableError if it is no table, and ReviewError if it is not a review list.
    """
    table = reader.read(body, name, ("image", "etag", "corrected"), ("label",), encoding)
    for row in table.rows:
        image = row.cells["image"]
        if not image.startswith(INBOX):
            raise ReviewError(f"line {row.line} of {name} names no image of {INBOX}")
        corrected = row.cells["corrected"].strip()
        yield ReviewEntry(image, row.cells["etag"], row.cells["label"], corrected)


def only_corrected(listed: Iterator[ReviewEntry]) -> Iterator[ReviewEntry]:
    return (entry for entry in listed if entry.corrected)


def fetch(bucket: Bucket, listed: Iterator[ReviewEntry], out: Path) -> FetchCounts:
    """Download each image into the folder of its class, unless it has changed since it was
    listed.
    """
    fetched = changed = 0
    folders = ClassFolders(_class_folders(out))
    for entry in listed:
        head = bucket.head(entry.image)
        is_readable = head is not None and head.listed.size <= LARGEST_BYTES
        stored = bucket.read(entry.image) if is_readable else None
        if stored is None or stored.etag != entry.etag:
            changed += 1
            continue
        below = folders.folder_of(entry.corrected or entry.label)
        folder = out / below
        if any((out / one).is_symlink() for one in (below, *below.parents[:-1])):
            raise ReviewError(f"{folder} is a link: images are put into folders of {out} only")
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / file_name(entry.image), stored.body)
        fetched += 1
    return FetchCounts(fetched, changed)


def _class_folders(out: Path) -> Iterator[PurePosixPath]:
    """The class folders that exist below `out`, as relative paths. Only a label of more than 255
    bytes has nested folders.
    """
    waiting = [out] if out.is_dir() else []
    while waiting:
        for path in waiting.pop().iterdir():
            if path.is_dir() and not path.is_symlink():
                yield PurePosixPath(path.relative_to(out).as_posix())
                waiting += [path] if path.name.endswith(CONTINUES) else []


def _write(path: Path, body: bytes) -> None:
    """Replace whatever is at `path`. Links are not followed, and writing does not block on a named
    pipe.
    """
    with tempfile.NamedTemporaryFile(prefix=".", dir=path.parent, delete=False) as file:
        file.write(body)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


def file_name(image: str) -> str:
    """A unique file name for an image, which ends with the image's own name."""
    name = re.sub(r"[^\w.-]", "_", image.rpartition("/")[2], flags=re.ASCII)[-60:]
    return f"{_short(image)}-{name}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def run(bucket: Bucket, out: Path, table: Path | None, encoding: str = "") -> FetchCounts:
    """Download images into `out`: those the runs have listed, or those with a corrected label in
    `table`.

    Raises TableError, and ReviewError if the table is not a review list.
    """
    if table is None:
        return fetch(bucket, read_lists(bucket), out)
    return fetch(bucket, only_corrected(parse(table.read_bytes(), str(table), encoding)), out)
