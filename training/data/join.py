"""Join reviewed images to the data that a model was trained on: the next version of a data set.

Validation and test stay as they are, so that the next model is compared on the same images.
Corrections go to train, and none that is in validation or test, byte for byte, is taken. The
original is not changed: the new version is a copy, which appears whole or not at all.
"""

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

from domain.class_folders import ClassFolders
from domain.corrections.coverage import Coverage, merge, parse_coverage
from domain.file_names import Names, UnsafeName
from domain.ignored.names import CORRECTIONS_RECORD, DATASET_MANIFEST, MANIFEST_BYTES
from domain.model import parse_json
from serving.files import read_regular
from training.config.errors import TrainingFailed
from training.data import folders
from training.data.dataset import (
    HELD_OUT_SHARE,
    Dataset,
    Example,
    examine,
    fingerprint,
    hold_out,
    prepare,
    summarize,
)
from training.data.unused import UnusedFiles

EVERY_IMAGE = 1.0
"""The share that may be unreadable: what training left out is left out here, and is listed."""

LISTED_PATHS = 100
"""Of images that were not taken, in the manifest."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image of the new version. `name`: its path below the folder of its class."""

    path: Path
    label: str
    digest: str
    name: tuple[str, ...]


@dataclass
class Joined:
    """The new version of a data set, before and after it is written.

    A million images take some 500 MB.
    """

    labels: tuple[str, ...]
    splits: dict[str, list[Picture]]
    version: int
    parent: str
    """The fingerprint of the version before."""
    test_before: str
    """The digest of its test split."""
    source: str
    """Where the version before is: the name of a folder, or an s3:// address."""
    corrections: tuple[Coverage, ...] = ()
    """Of the console: which of them the data set holds, those of the version before included."""
    added: int = 0
    known: int = 0
    """Corrections that are in train, under the same label."""
    relabelled: int = 0
    """Images of train that the corrections give another label."""
    held_out: list[str] = field(default_factory=list)
    """Corrections that are in validation or test, and so are not taken."""
    unreadable: list[str] = field(default_factory=list)
    """Of the data and of the corrections; they are not in the new version."""
    unused: UnusedFiles = field(default_factory=UnusedFiles)

    @property
    def fingerprint(self) -> str:
        """As `prepare` computes it of what is written."""
        number = {label: index for index, label in enumerate(self.labels)}
        examples = {
            split: [Example("", number[one.label], one.digest) for one in pictures]
            for split, pictures in self.splits.items()
        }
        return fingerprint(examples, self.labels)

    def manifest(self) -> dict[str, Any]:
        test = digest_of(self.splits["test"])
        return {
            "schema": 1,
            "version": self.version,
            "fingerprint": self.fingerprint,
            "parent": self.parent,
            "source": self.source,
            "corrections": [one.to_document() for one in self.corrections],
            "test": {"digest": test, "is_frozen": test == self.test_before},
            "images": {split: len(pictures) for split, pictures in self.splits.items()},
            "added": self.added,
            "relabelled": self.relabelled,
            "held_out": self.held_out[:LISTED_PATHS],
            "unreadable": self.unreadable[:LISTED_PATHS],
        }

    def sentences(self) -> Iterator[str]:
        sizes = ", ".join(f"{len(pictures)} {split}" for split, pictures in self.splits.items())
        yield f"Version {self.version}: {sizes} images of {len(self.labels)} classes."
        yield (
            f"New images: {self.added}; with another class than before: {self.relabelled}; there "
            f"already: {self.known}."
        )
        if self.held_out:
            yield (
                f"Left out, because they are in validation or test: {len(self.held_out)}, "
                f"{summarize(self.held_out)}."
            )
        if self.unreadable:
            yield f"Left out as unreadable: {len(self.unreadable)}, {summarize(self.unreadable)}."
        yield from self.unused.lines()


def digest_of(pictures: Iterable[Picture]) -> str:
    """SHA-256 of the images and labels of a split, whatever their order and names."""
    rows = sorted(f"{picture.digest} {picture.label}\n" for picture in pictures)
    return hashlib.sha256("".join(rows).encode()).hexdigest()


def version_of(folder: Path) -> int:
    """The version of a data set; 1 if nothing was joined to it. Raises TrainingFailed."""
    document = _read_document(folder / DATASET_MANIFEST)
    version = document.get("version") if document else 1
    if not isinstance(version, int) or version < 1:
        raise TrainingFailed(
            f"{folder / DATASET_MANIFEST} names no version. Remove it to start over."
        )
    return version


def corrections_of(path: Path) -> tuple[Coverage, ...]:
    """Which corrections a manifest, or the record of a download, names; none where there is no
    such file. Raises TrainingFailed.
    """
    try:
        return parse_coverage(_read_document(path))
    except ValueError as error:
        raise TrainingFailed(f"{path} cannot be read: {error}. Remove it to start over.") from error


def _covered(data: Path, reviewed: Path, left_out: int) -> tuple[Coverage, ...]:
    """Which corrections the new version holds; `left_out` of the downloaded ones are not taken."""
    downloaded = [*corrections_of(reviewed / CORRECTIONS_RECORD)]
    downloaded[-1:] = [replace(one, left_out=left_out) for one in downloaded[-1:]]
    return merge(corrections_of(data / DATASET_MANIFEST), downloaded)


def _read_document(path: Path) -> dict[str, Any]:
    """Empty where there is no such file. Raises TrainingFailed."""
    if not path.is_file():
        return {}
    try:
        document = parse_json(read_regular(path, MANIFEST_BYTES).decode())
    except (OSError, ValueError) as error:
        raise TrainingFailed(f"{path} cannot be read: {error}. Remove it to start over.") from error
    if not isinstance(document, dict):
        raise TrainingFailed(f"{path} cannot be read: no object. Remove it to start over.")
    return document


def next_folder(data: Path) -> Path:
    """`photos` -> `photos-v2` -> `photos-v3`, side by side."""
    data = data.resolve()
    name = re.sub(r"-v[0-9]+$", "", data.name)
    return data.parent / f"{name}-v{version_of(data) + 1}"


def join(
    data: Path, reviewed: Path, check_interrupt: Callable[[], None], source: str = ""
) -> Joined:
    """Decide what the next version holds; nothing is written. `source`: where `data` comes from, if
    not from a folder of that name. Raises TrainingFailed.
    """
    if reviewed.resolve() == data.resolve():
        raise TrainingFailed(f"{data} is both the data and the corrections.")
    # With a test split: later versions would otherwise draw another, of images in this one's train.
    before = prepare(data, True, EVERY_IMAGE, check_interrupt)
    splits = _pictures(before)
    joined = Joined(
        labels=before.labels,
        splits=splits,
        version=version_of(data) + 1,
        parent=before.fingerprint,
        test_before=digest_of(splits["test"]),
        source=source or data.resolve().name,
    )
    joined.unreadable += before.left_out
    joined.unused.merge(before.all_unused)
    corrections = _read_corrections(reviewed, joined, check_interrupt)
    held_out = {
        picture.digest
        for split, pictures in joined.splits.items()
        if split != "train"
        for picture in pictures
    }
    in_train: dict[str, set[str]] = {}
    for picture in joined.splits["train"]:
        in_train.setdefault(picture.digest, set()).add(picture.label)
    added: list[Picture] = []
    labels: dict[str, str] = {}
    for digest, picture in corrections.items():
        if digest in held_out:
            joined.held_out.append(str(picture.path))
        elif digest not in in_train:
            added.append(picture)
        elif in_train[digest] == {picture.label}:
            joined.known += 1
        else:
            labels[digest] = picture.label
    joined.added, joined.relabelled = len(added), len(labels)
    joined.corrections = _covered(data, reviewed, len(joined.held_out))
    joined.splits["train"] = [
        *(replace(one, label=labels.get(one.digest, one.label)) for one in joined.splits["train"]),
        *added,
    ]
    _hold_out_new_classes(joined)
    emptied = set(joined.labels) - {picture.label for picture in joined.splits["train"]}
    if emptied:
        raise TrainingFailed(
            f"The corrections leave no image of {summarize(sorted(emptied))} in train."
        )
    return joined


def _pictures(dataset: Dataset) -> dict[str, list[Picture]]:
    return {
        split: [
            Picture(
                dataset.root / example.path,
                dataset.labels[example.label],
                example.digest,
                dataset.inside(example),
            )
            for example in examples
        ]
        for split, examples in dataset.splits.items()
    }


def _read_corrections(
    reviewed: Path, joined: Joined, check_interrupt: Callable[[], None]
) -> dict[str, Picture]:
    """The corrections by digest. Raises TrainingFailed for an image in two classes."""
    layout = folders.read_layout(reviewed)
    root, splits = layout.root, layout.splits
    if [*splits] != ["train"]:
        raise TrainingFailed(f"{reviewed} has splits: corrections are a folder for each class.")
    if root != reviewed:  # the only folder there might be a class with folders in it
        raise TrainingFailed(
            f"{reviewed} has one folder, with folders in it. Corrections are a folder for each "
            f"class: name {root}, or put the images of a class into its folder without others."
        )
    joined.unused.merge(layout.unused)
    labels = tuple(splits["train"])
    pictures: dict[str, Picture] = {}
    for example in examine(root, splits["train"], labels, check_interrupt):
        if not isinstance(example, Example):
            joined.unreadable.append(example)
            continue
        label = labels[example.label]
        inside = folders.inside(example.path, label, layout.tops["train"].relative_to(root))
        picture = Picture(root / example.path, label, example.digest, inside)
        other = pictures.setdefault(example.digest, picture)
        if other.label != label:
            raise TrainingFailed(
                f"{other.path} and {picture.path} are one image in two classes: remove one."
            )
    if not pictures:
        raise TrainingFailed(f"{reviewed} has no readable image.")
    return pictures


def _hold_out_new_classes(joined: Joined) -> None:
    """A class that the data did not have needs images in validation and test as well. The images
    that are there stay there. Of an image that train has twice one copy is taken: the other could
    be in another split. Raises TrainingFailed for a class with too few images."""
    new = sorted({picture.label for picture in joined.splits["train"]} - set(joined.labels))
    if not new:
        return
    splits = [split for split in joined.splits if split != "train"]
    copies = [picture for picture in joined.splits["train"] if picture.label in new]
    pictures = list({picture.digest: picture for picture in copies}.values())
    joined.splits["train"] = [one for one in joined.splits["train"] if one.label not in new]
    examples = [
        Example(str(index), new.index(picture.label), picture.digest)
        for index, picture in enumerate(pictures)
    ]
    for label, name in enumerate(new):
        count = sum(example.label == label for example in examples)
        if count <= len(splits):
            raise TrainingFailed(
                f"The new class {name!r} has {count} image{'' if count == 1 else 's'}, and needs "
                f"{len(splits) + 1} or more: one for each of train, {' and '.join(splits)}."
            )
    for taken, split in enumerate(splits):
        share = HELD_OUT_SHARE / (1 - HELD_OUT_SHARE * taken)
        held, examples = hold_out(examples, share, split, tuple(new))
        joined.splits[split] += [pictures[int(example.path)] for example in held]
    joined.splits["train"] += [pictures[int(example.path)] for example in examples]
    joined.labels = tuple(sorted((*joined.labels, *new)))


def write(joined: Joined, out: Path, on_progress: Callable[[int, int], None]) -> None:
    """Copy the images to `out`, in the layout that training takes. Raises TrainingFailed."""
    if out.is_symlink() or (out.exists() and not (out.is_dir() and not any(out.iterdir()))):
        raise TrainingFailed(f"{out} exists: join to it, or name another folder by --out.")
    targets = _targets(joined)
    try:
        size = sum(picture.path.stat().st_size for picture in targets.values())
        out.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(out.parent).free
        if size > free:
            raise TrainingFailed(
                f"The images take {size / 1e9:,.1f} GB, and the disk of {out.parent} has "
                f"{free / 1e9:,.1f} GB left."
            )
        with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
            whole = Path(scratch, "whole")
            for done, (target, picture) in enumerate(targets.items(), 1):
                (whole / target).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(picture.path, whole / target)
                on_progress(done, len(targets))
            text = json.dumps(joined.manifest(), ensure_ascii=False, indent=1)
            (whole / DATASET_MANIFEST).write_text(f"{text}\n", encoding="utf-8")
            whole.replace(out)
    except OSError as error:
        raise TrainingFailed(f"{error.filename or out}: {error.strerror}.") from error


def _targets(joined: Joined) -> Mapping[PurePosixPath, Picture]:
    """Where each image goes: under its own name, unless another image has that name there."""
    classes, names = ClassFolders(), Names(ignore_case=True)
    targets: dict[PurePosixPath, Picture] = {}
    for split, pictures in joined.splits.items():
        for index, picture in enumerate(pictures):
            folder = PurePosixPath(split) / classes.folder_of(picture.label)
            target = folder.joinpath(*picture.name)
            try:
                names.add(target)
            except UnsafeName:
                suffix = PurePosixPath(picture.name[-1]).suffix[:10]
                target = folder / f"{picture.digest}-{index}{suffix}"
                names.add(target)
            targets[target] = picture
    return targets
