"""Download images for review, into one folder per class that training can read.

Without a CSV, download every image that the runs have listed in `outbox/_review/` into the folder
of its label. The user moves the wrong ones into the right folders. Alternatively, the user fills
the column `corrected` of a list: then only the images with an entry in that column are downloaded,
into the folder of the corrected label. The same happens to the images that people have corrected in
the console. Training reads the folders back as the same labels (`domain.class_folders`).
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from aws.bucket import Bucket
from domain.class_folders import CONTINUES, ClassFolders, folder_of, label_of
from domain.file_names import NAME_BYTES
from domain.ignored.names import CORRECTIONS_RECORD
from domain.route import LARGEST_BYTES
from domain.tables.reader import WINDOWS
from infra.review import lists
from infra.review.corrections import (
    Ask,
    KnownClasses,
    active_labels,
    check_new,
    corrected_only,
    settle,
)
from infra.review.lists import ReviewEntry, ReviewError, ReviewFilter
from infra.review.stored import CorrectionStore

SUFFIX_CHARACTERS = 10


@dataclass(frozen=True, slots=True)
class FetchCounts:
    fetched: int = 0
    changed: int = 0
    """Images that were overwritten since they were listed."""
    missing: int = 0
    """Images that are not in the bucket: deleted, or their names read in the wrong encoding."""
    encoding: str = ""
    """Of the person's list."""
    unlabelled: int = 0
    """Images of which people say that they show none of the labels."""
    disputed: int = 0
    """Images that people have corrected differently; the newest label is taken."""

    def sentences(self, out: Path) -> Iterator[str]:
        yield f"Images in {out}: {self.fetched}."
        if self.changed:
            yield f"Left out, because they have changed since they were listed: {self.changed}."
        if self.missing:
            yield f"Left out, because they are not in the inbox: {self.missing}."
        if self.unlabelled:
            yield f"Left out, because they show none of the labels: {self.unlabelled}."
        if self.disputed:
            yield (
                f"Corrected differently by several people, the newest label taken: {self.disputed}."
            )
        if self.missing and self.encoding == WINDOWS:
            yield (
                f"The list is not UTF-8 and was read as {WINDOWS}. If names in it look wrong, save "
                "it as `CSV UTF-8`, or name its encoding by --encoding."
            )


@dataclass(frozen=True, slots=True)
class PersonsList:
    """A list that a person has filled in, and the answers to the questions that it may raise."""

    path: Path
    encoding: str = ""
    new_classes: tuple[str, ...] = ()
    ask: Ask | None = None
    """None where nobody is at a terminal."""


def fetch_corrected(
    bucket: Bucket, filled: PersonsList, selection: ReviewFilter, out: Path
) -> FetchCounts:
    """Download the images that have a correction, into folders of their corrected labels.

    Raises TableError, and ReviewError for what is no review list or no class.
    """
    listed, encoding = lists.parse(filled.path.read_bytes(), str(filled.path), filled.encoding)
    for label in filled.new_classes:
        check_new(label)
    folders = (label_of(path) for path in _class_folders(out) if not path.name.endswith(CONTINUES))
    labels = active_labels(bucket) or dict.fromkeys(entry.label for entry in listed)
    classes = KnownClasses.of((*labels, *folders, *filled.new_classes))
    corrected = [entry for entry in corrected_only(listed) if selection.takes(entry)]
    if not corrected:
        raise ReviewError(f"No row of {filled.path} has an entry in its column `corrected`.")
    settled = settle(corrected, classes, filled.ask)
    return fetch(bucket, settled, out, encoding)


def fetch_stored(
    bucket: Bucket, store: CorrectionStore, selection: ReviewFilter, out: Path
) -> FetchCounts:
    """Download the images that people have corrected, into folders of their right labels.

    Raises ReviewError if there are none.
    """
    store.refresh()
    coverage = store.coverage(selection.folder)
    counts = fetch(bucket, store.entries(selection.folder), out)
    totals = store.totals(selection.folder)
    if not totals.corrected:
        raise ReviewError(f"No image below {selection.folder} has a correction.")
    if coverage:
        document = {"schema": 1, "corrections": [coverage.to_document()]}
        out.mkdir(parents=True, exist_ok=True)
        _write(out / CORRECTIONS_RECORD, json.dumps(document, indent=1).encode())
    return replace(counts, unlabelled=totals.none, disputed=totals.disputed)


def fetch(
    bucket: Bucket, listed: Iterable[ReviewEntry], out: Path, encoding: str = ""
) -> FetchCounts:
    """Download each image into the folder of its class, unless it has changed since it was
    listed.
    """
    fetched = changed = missing = 0
    folders = ClassFolders(_class_folders(out))
    for entry in listed:
        head = bucket.head(entry.image)
        is_readable = head is not None and head.listed.size <= LARGEST_BYTES
        stored = bucket.read(entry.image) if is_readable else None
        if stored is None or stored.etag != entry.etag:
            missing += head is None
            changed += head is not None
            continue
        below = folders.folder_of(entry.corrected or entry.label)
        folder = out / below
        if any((out / one).is_symlink() for one in (below, *below.parents[:-1])):
            raise ReviewError(f"{folder} is a link: images are put into folders of {out} only")
        folder.mkdir(parents=True, exist_ok=True)
        _write(_place(folder, entry.image, stored.body), stored.body)
        fetched += 1
    return FetchCounts(fetched, changed, missing, encoding)


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


def _place(folder: Path, image: str, body: bytes) -> Path:
    """Where to write the image: under its own name, unless another image has that name there."""
    own = folder / file_name(image)
    if not os.path.lexists(own):
        return own
    is_same = own.is_file() and not own.is_symlink() and own.stat().st_size == len(body)
    return own if is_same and own.read_bytes() == body else folder / unique_name(image)


def file_name(image: str) -> str:
    """The image's own name, with escapes where a file system or training could not take it."""
    name = folder_of(image.rpartition("/")[2])
    return name.name if len(name.parts) == 1 else unique_name(image)


def unique_name(image: str) -> str:
    """A file name that no other image has, which ends with the image's own name if that fits."""
    digest, name = hashlib.sha256(image.encode()).hexdigest()[:12], image.rpartition("/")[2]
    path = folder_of(f"{digest}-{name}")
    if len(path.parts) == 1 and len(path.name.encode()) <= NAME_BYTES:
        return path.name
    suffix = PurePosixPath(name).suffix
    is_plain = len(suffix) <= SUFFIX_CHARACTERS and suffix[1:].isalnum() and suffix.isascii()
    return f"{digest}{suffix}" if is_plain else digest
