"""Image folders: which folder is which split, and which files are its images.

Understood are `train/`, `validation/` (or `valid/`, `val/`) and `test/` with a folder per class in
each, the same three as channels of a job, or one folder with a folder per class; each also inside
folders that hold nothing else.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from domain.class_folders import CONTINUES, SPLITS, WEIGHTS, label_of
from domain.ignored.reasons import why_folder_ignored, why_ignored
from training.config.errors import TrainingFailed

WRAPPINGS = 20
"""Nested folders that hold one folder only."""

WEIGHTS_SUFFIXES = (".pth", ".pt", ".safetensors")

Classes = Mapping[str, tuple[str, ...]]
"""Names of files relative to the root, by class; both in the order of their names. A class is what
`domain.class_folders.label_of` reads from the name of its folder."""


def splits(channels: Path) -> tuple[Path, dict[str, Classes]]:
    """The root and its classes by split; a folder without splits is all `train`.

    A name takes some 150 bytes: a million images, 150 MB. Raises TrainingFailed.
    """
    if not channels.is_dir():
        raise TrainingFailed(f"There is no folder of images at {channels}.")
    try:
        return _splits(channels)
    except OSError as error:
        raise TrainingFailed(f"{error.filename} cannot be read: {error.strerror}.") from error
    except RecursionError as error:  # of os.walk
        raise TrainingFailed(f"The folders below {channels} are nested too deeply.") from error


def _splits(channels: Path) -> tuple[Path, dict[str, Classes]]:
    root = _unwrapped(channels, WRAPPINGS)
    named = {folder.name: folder for folder in _folders(root) if folder.name in SPLITS}
    if "train" not in {SPLITS[name] for name in named}:
        _refuse_strangers(root, named)
        folders = _without_channel(root) if root == channels else _folders(root)
        return root, {"train": _classes(root, root, folders)}
    _refuse_twins(root, named)
    inner = {name: _unwrapped_split(folder) for name, folder in named.items()}
    return root, {
        SPLITS[name]: _classes(root, folder, _folders(folder)) for name, folder in inner.items()
    }


def _unwrapped(folder: Path, most: int) -> Path:
    """Down through folders that hold one folder only, to the splits or to the classes."""
    folders = _folders(folder) if most < WRAPPINGS else _without_channel(folder)
    if len(folders) != 1 or folders[0].name.endswith(CONTINUES) or most == 0:
        return folder
    inner = _unwrapped(folders[0], most - 1)
    if any(SPLITS.get(path.name) == "train" for path in _folders(inner)):
        return inner
    return folder if folders[0].name in SPLITS or not _folders(folders[0]) else inner


def _unwrapped_split(folder: Path) -> Path:
    """A channel `train` may hold the folder `train` once more."""
    inner = _folders(folder)
    return inner[0] if len(inner) == 1 and inner[0].name == folder.name else folder


def _classes(root: Path, folder: Path, folders: list[Path]) -> Classes:
    named: dict[str, Path] = {}
    for label, path in _labelled(folder, folders):
        if label in named:
            raise TrainingFailed(
                f"{named[label].name} and {path.name} of {folder} are one class, {label!r}: put "
                "their images into one folder."
            )
        named[label] = path
    if not named:
        inside = "images but no folders" if next(_files(folder), None) else "no folders"
        raise TrainingFailed(
            f"{folder} holds {inside}; it needs a folder per class with that class's images in it."
        )
    return {label: tuple(sorted(_below(named[label], root))) for label in sorted(named)}


def _labelled(top: Path, folders: list[Path]) -> Iterator[tuple[str, Path]]:
    """Each class with its folder. A label of more than 255 bytes continues in a subfolder."""
    for folder in folders:
        inner = _folders(folder) if folder.name.endswith(CONTINUES) else []
        if inner and next(_files(folder), None) is None:
            yield from _labelled(top, inner)
        else:
            yield label_of(PurePosixPath(folder.relative_to(top).as_posix())), folder


def _without_channel(channels: Path) -> list[Path]:
    """Without the channel of weights: beside a channel of images, or with nothing but weights."""
    folders = _folders(channels)
    others = [folder for folder in folders if folder.name != WEIGHTS]
    is_beside_images = any(other.name in SPLITS for other in others) or (
        len(others) == 1 and len(_folders(others[0])) > 0
    )
    return [
        folder
        for folder in folders
        if folder.name != WEIGHTS or not (is_beside_images or _holds_weights_only(folder))
    ]


def _holds_weights_only(folder: Path) -> bool:
    return not _folders(folder) and all(
        Path(name).suffix in WEIGHTS_SUFFIXES for name in _files(folder)
    )


def _refuse_strangers(root: Path, named: Mapping[str, Path]) -> None:
    if named:
        raise TrainingFailed(
            f"{root} has {', '.join(sorted(named))} but no train: rename the folder with training "
            "images to train."
        )


def _refuse_twins(root: Path, named: Mapping[str, Path]) -> None:
    for split in set(SPLITS.values()):
        twins = sorted(name for name in named if SPLITS[name] == split)
        if len(twins) > 1:
            raise TrainingFailed(f"{root} has both {' and '.join(twins)}: keep one of them.")


def passed_over(channels: Path, root: Path) -> tuple[str, ...]:
    """Hidden folders with files where classes are looked for: they may be meant as classes.

    `root` as `splits` returns it.
    """
    above = [folder for folder in root.parents if folder.is_relative_to(channels)]
    inside_splits = [_unwrapped_split(path) for path in _folders(root) if path.name in SPLITS]
    return tuple(
        entry.relative_to(channels).as_posix()
        for folder in (*above, root, *inside_splits)
        for entry in sorted(folder.iterdir())
        if entry.is_dir() and why_folder_ignored(entry.name) and _holds_a_file(entry)
    )


def _holds_a_file(folder: Path) -> bool:
    return any(why_ignored(name) is None for _, _, files in os.walk(folder) for name in files)


def inside(path: str, label: str) -> tuple[str, ...]:
    """The part of an image's path that lies below the folder of its class."""
    parts = PurePosixPath(path).parts
    start = 0
    for end, part in enumerate(parts[:-1], 1):
        if label in (label_of(PurePosixPath(part)), label_of(PurePosixPath(*parts[start:end]))):
            return parts[end:]
        if not part.endswith(CONTINUES):
            start = end
    raise ValueError(f"{path} is not below a folder of {label!r}")


def _folders(folder: Path) -> list[Path]:
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.is_dir() and why_folder_ignored(entry.name) is None
    )


def _files(folder: Path) -> Iterator[str]:
    for entry in folder.iterdir():
        if entry.is_file() and why_ignored(entry.name) is None:
            yield entry.name


def _below(folder: Path, root: Path) -> Iterator[str]:
    """Everything but folders, even if it is not a regular file: reading it fails. Raises OSError.

    Links to folders below a class are not followed, so that none can lead in a circle; they count
    as files that cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise error

    for path, folders, files in os.walk(folder, onerror=refuse):
        links = [name for name in folders if Path(path, name).is_symlink()]
        folders[:] = [name for name in folders if why_folder_ignored(name) is None]
        for name in files + links:
            if why_ignored(name) is None:
                yield Path(path, name).relative_to(root).as_posix()
