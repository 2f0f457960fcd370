"""Image folders: which folder is which split, and which files are its images.

Understood are folders `train`, `validation` and `test` in any usual spelling (`Training`, `val`,
`seg_test`) with a folder per class in each, the same as channels of a job, or one folder with a
folder per class; each also inside folders that hold nothing else. `training.data.ambiguous` refuses
what could be read in two ways.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path, PurePath, PurePosixPath

from domain.class_folders import CONTINUES, WEIGHTS, folder_of, is_split, label_of, split_name
from domain.ignored.names import DATASET_RECORD
from domain.ignored.reasons import why_folder_ignored, why_ignored
from training.config.errors import TrainingFailed
from training.data.listing import count_files, files_in, folders_in, holds_images, is_image
from training.data.unused import UnusedFiles

WRAPPINGS = 20
"""Nested folders that hold one folder only."""

WEIGHTS_SUFFIXES = (".pth", ".pt", ".safetensors")

ANNOTATIONS = frozenset(
    (
        *("annotation", "annotations", "annots", "bboxes", "label", "labels", "labelstxt"),
        *("mask", "masks", "trimaps", "gt", "groundtruth", "ground_truth", "imagesets", "lists"),
        *("segmentationclass", "segmentationobject", "xml", "xmls", "json", "attributes", "parts"),
    )
)
"""Names of folders that describe the images of a data set."""

TABLE_SUFFIXES = frozenset((".csv", ".tsv", ".json", ".jsonl", ".xlsx", ".xls", ".parquet", ".mat"))
ARCHIVE_SUFFIXES = frozenset((".zip", ".tar", ".tgz", ".gz", ".7z", ".rar", ".bz2", ".xz"))

NAMES_SHOWN = 4

Classes = Mapping[str, tuple[str, ...]]
"""Names of files relative to the root, by class; both in the order of their names. A class is what
`domain.class_folders.label_of` reads from the name of its folder."""


@dataclass(frozen=True, slots=True)
class FolderLayout:
    root: Path
    splits: Mapping[str, Classes]
    """A folder without splits is all `train`."""
    tops: Mapping[str, Path]
    """The folder of each split that holds the folders of its classes."""
    unused: UnusedFiles = field(default_factory=UnusedFiles)


def read_layout(channels: Path) -> FolderLayout:
    """The root, its classes by split, and what is not used.

    A name takes some 150 bytes: a million images, 150 MB. Raises TrainingFailed.
    """
    if not channels.is_dir():
        raise TrainingFailed(f"There is no folder of images at {channels}.")
    try:
        return _read_layout(channels)
    except OSError as error:
        raise TrainingFailed(f"{error.filename} cannot be read: {error.strerror}.") from error
    except RecursionError as error:  # of os.walk
        raise TrainingFailed(f"The folders below {channels} are nested too deeply.") from error


def _read_layout(channels: Path) -> FolderLayout:
    root = _unwrapped(channels, WRAPPINGS)
    folders = _without_channel(root) if root == channels else folders_in(root)
    named = _split_folders(folders)
    if named:
        _refuse_divided(root, folders, named)
        tops = {split: _top_of_split(paths[0]) for split, paths in named.items()}
    else:
        _refuse_splits_without_train(root, folders)
        tops = {"train": root}
    unused = UnusedFiles()
    splits = {}
    for split, top in tops.items():
        labelled = _class_folders(root, top, folders_in(top) if named else folders)
        splits[split] = {
            label: tuple(sorted(_below(folder, root, unused)))
            for label, folder in sorted(labelled.items())
        }
    _note_unused(channels, {root, *tops.values()}, set(tops.values()), unused)
    return FolderLayout(root, splits, tops, unused)


def _groups(folders: Sequence[Path]) -> dict[tuple[str, ...], dict[str, list[Path]]]:
    """The folders by the words of their names beside that of a split, and by split."""
    groups: dict[tuple[str, ...], dict[str, list[Path]]] = {}
    for folder in folders:
        if name := split_name(folder.name):
            split, words = name
            groups.setdefault(words, {}).setdefault(split, []).append(folder)
    return groups


def _split_folders(folders: Sequence[Path]) -> dict[str, list[Path]]:
    """The folders of each split; none if there is no folder `train`.

    Names with other words (`seg_train`) count if they come with another split of the same words.
    """
    groups = _groups(folders)
    if "train" in groups.get((), {}):
        return groups[()]
    complete = [group for group in groups.values() if "train" in group and len(group) > 1]
    return complete[0] if len(complete) == 1 else {}


def _unwrapped(folder: Path, most: int) -> Path:
    """Down through folders that hold one folder only, to the splits or to the classes."""
    folders = folders_in(folder) if most < WRAPPINGS else _without_channel(folder)
    folders = _without_annotations(folders)
    if len(folders) != 1 or folders[0].name.endswith(CONTINUES) or most == 0:
        return folder
    inner = _unwrapped(folders[0], most - 1)
    if _split_folders(folders_in(inner)):
        return inner
    return folder if is_split(folders[0].name) or not folders_in(folders[0]) else inner


def _top_of_split(folder: Path) -> Path:
    """A split may wrap its classes once more: `train/train/`, `seg_test/seg_test/`."""
    for _ in range(WRAPPINGS):
        inner = _without_annotations(folders_in(folder))
        if len(inner) != 1 or inner[0].name.endswith(CONTINUES) or not folders_in(inner[0]):
            break
        folder = inner[0]
    return folder


def _without_annotations(folders: Sequence[Path]) -> list[Path]:
    """Without folders that describe the images of the one other folder, and hold no image."""
    others = [folder for folder in folders if folder.name.casefold() not in ANNOTATIONS]
    described = [folder for folder in folders if folder not in others]
    if len(others) == 1 and folders_in(others[0]) and not any(map(holds_images, described)):
        return others
    return list(folders)


def _class_folders(root: Path, top: Path, folders: list[Path]) -> dict[str, Path]:
    """The folder of each class."""
    named: dict[str, Path] = {}
    for label, path in _labelled(top, folders):
        if label in named:
            raise TrainingFailed(
                f"{named[label].name} and {path.name} of {top} are one class, {label!r}: put "
                "their images into one folder."
            )
        named[label] = path
    if not named:
        inside = "images but no folders" if any(map(is_image, files_in(top))) else "no folders"
        beside = [folder for folder in folders_in(root) if not is_split(folder.name)]
        is_class = top.parent == root and any(map(holds_images, beside))
        raise TrainingFailed(
            f"{top} holds {inside}; it needs a folder per class with that class's images in it."
            + (f" {class_called(top.name)}" if is_class else hint(root, top))
        )
    _refuse_circles(top, named)
    return named


def _labelled(top: Path, folders: list[Path]) -> Iterator[tuple[str, Path]]:
    """Each class with its folder. A label of more than 255 bytes continues in a subfolder."""
    for folder in folders:
        inner = folders_in(folder) if folder.name.endswith(CONTINUES) else []
        if inner and next(files_in(folder), None) is None:
            yield from _labelled(top, inner)
        else:
            yield label_of(PurePosixPath(folder.relative_to(top).as_posix())), folder


def hint(root: Path, top: Path) -> str:
    """What the files near a folder without classes suggest; may be empty."""
    near = {name for folder in (root, top) for name in files_in(folder)}
    archives = sorted(name for name in near if Path(name).suffix.casefold() in ARCHIVE_SUFFIXES)
    tables = sorted(name for name in near if Path(name).suffix.casefold() in TABLE_SUFFIXES)
    if archives:
        return f" Unpack {join(archives)} first."
    if tables:
        return (
            f" If {join(tables)} has the class of each image: Sortbox reads classes from folders "
            "only, so move each image into a folder that is named like its class."
        )
    return ""


def _refuse_divided(root: Path, folders: Sequence[Path], named: Mapping[str, list[Path]]) -> None:
    """Two folders for one split: `train` and `training`, or `train` and `train2`."""
    is_worded = not all(is_split(path.name) for paths in named.values() for path in paths)
    for words, group in _groups(folders).items():
        for split, paths in group.items():
            of_numbers = all(word.isdigit() for word in words)
            others = named.get(split, []) if is_worded or of_numbers else []
            both = sorted({path.name for path in (*paths, *others)})
            if split in named and len(both) > 1 and (of_numbers or is_worded):
                raise TrainingFailed(
                    f"{root} has both {join(both)}: keep one of them, or put the images of both "
                    "into one."
                )


def _refuse_splits_without_train(root: Path, folders: Sequence[Path]) -> None:
    """Folders of splits are no classes, even where no folder `train` says so."""
    groups = _groups(folders)
    if () in groups:
        alone = sorted(path.name for paths in groups[()].values() for path in paths)
        raise TrainingFailed(
            f"{root} has {join(alone)} but no train: rename the folder with training images to "
            f"train. {class_called(alone[0])}"
        )
    complete = [group for group in groups.values() if "train" in group and len(group) > 1]
    if complete:
        divided = [path for group in complete for paths in group.values() for path in paths]
        raise TrainingFailed(
            f"{root} has {join(sorted(path.name for path in divided))}: put the folders of all "
            "classes into one folder train, and those for testing into one folder test."
        )


def class_called(name: str) -> str:
    """What to do for a class that has the name of a split."""
    return f"If {name} is a class, rename its folder to {folder_of(name)}, which is read as {name}."


def _refuse_circles(top: Path, named: Mapping[str, Path]) -> None:
    """A class may be a link to a folder, unless that holds the data set or another class."""
    links = [path for path in named.values() if path.is_symlink()]
    for link in links:
        if top.resolve().is_relative_to(link.resolve()):
            raise TrainingFailed(
                f"{link} is a link to a folder that holds the data set: remove the link."
            )
    targets = sorted((path.resolve().parts, path.name) for path in named.values() if links)
    for (outer, one), (inner, other) in pairwise(targets):
        if inner[: len(outer)] == outer:
            raise TrainingFailed(
                f"{one} and {other} of {top} hold the same images, because one of them is a link: "
                "remove the link."
            )


def _without_channel(channels: Path) -> list[Path]:
    """Without the channel of weights: beside a channel of images, or with nothing but weights."""
    folders = folders_in(channels)
    others = [folder for folder in folders if folder.name != WEIGHTS]
    is_beside_images = any(is_split(other.name) for other in others) or (
        len(others) == 1 and len(folders_in(others[0])) > 0
    )
    return [
        folder
        for folder in folders
        if folder.name != WEIGHTS
        or not ((is_beside_images and not holds_images(folder)) or _holds_weights_only(folder))
    ]


def _holds_weights_only(folder: Path) -> bool:
    return not folders_in(folder) and all(
        Path(name).suffix in WEIGHTS_SUFFIXES for name in files_in(folder)
    )


def _note_unused(channels: Path, used: set[Path], tops: set[Path], unused: UnusedFiles) -> None:
    """What lies beside the folders on the way from `channels` to the folders of the classes."""
    way = {folder for path in used for folder in (path, *path.parents)}
    for folder in sorted(path for path in way if path.is_relative_to(channels)):
        for entry in sorted(folder.iterdir()):
            name = entry.relative_to(channels).as_posix()
            if entry.is_symlink() and not entry.exists():
                raise TrainingFailed(
                    f"{entry} is a link to {entry.readlink()}, which does not exist: repair or "
                    "remove it."
                )
            if entry.is_dir():
                reason = why_folder_ignored(entry.name)
                is_used = (
                    folder in tops
                    or entry in way
                    or (entry == channels / WEIGHTS and not holds_images(entry))
                )
                if reason or not is_used:
                    reason = reason or "in a folder beside the data set"
                    unused.add(f"{name}/", reason, count_files(entry))
            elif entry.name != DATASET_RECORD:
                unused.add(name, why_ignored(entry.name) or "beside the folders")


def inside(path: str, label: str, top: PurePath) -> tuple[str, ...]:
    """The part of an image's path that lies below the folder of its class. `top`: what holds the
    folders of the classes, which may be called like one of them; relative to the root, as `path`.
    """
    parts = PurePosixPath(path).relative_to(top).parts
    for end in range(1, len(parts)):
        if label_of(PurePosixPath(*parts[:end])) == label:
            return parts[end:]
    raise ValueError(f"{path} is not below a folder of {label!r}")


def join(names: Sequence[str]) -> str:
    """A list of names in a sentence."""
    *first, last = names[:NAMES_SHOWN]
    if len(names) > NAMES_SHOWN:
        return f"{', '.join(names[:NAMES_SHOWN])} and {len(names) - NAMES_SHOWN:,} more"
    return f"{', '.join(first)} and {last}" if first else last


def _below(folder: Path, root: Path, unused: UnusedFiles) -> Iterator[str]:
    """Everything but folders, even if it is not a regular file: reading it fails.

    Links to folders below a class are refused: followed, one could lead in a circle. Raises OSError
    and TrainingFailed.
    """

    def refuse(error: OSError) -> None:
        raise error

    for path, folders, files in os.walk(folder, onerror=refuse):
        place = Path(path).relative_to(root).as_posix()
        for name in sorted(folders):
            if reason := why_folder_ignored(name):
                folders.remove(name)
                unused.add(f"{place}/{name}/", reason, count_files(Path(path, name)))
            elif Path(path, name).is_symlink():
                raise TrainingFailed(
                    f"{place}/{name} is a link to a folder. Links below a class are not followed: "
                    f"copy its images into {place}, or remove it."
                )
        for name in files:
            if reason := why_ignored(name):
                unused.add(f"{place}/{name}", reason)
            else:
                yield f"{place}/{name}"
