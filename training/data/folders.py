"""Image folders as people have them: which folder is which split, and which files are its images.

Understood are `train/`, `validation/` (or `valid/`, `val/`) and `test/` with a folder a class in
each, the same three as channels of a job, or one folder with a folder a class; each also inside
folders that hold nothing else.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from training.config.errors import TrainingFailed

SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}
"""What a folder is called, and which split that makes it."""

WEIGHTS = "weights"
"""A channel of its own, with no images in it."""

WRAPPINGS = 20
"""Folders that hold nothing but the next one, looked through at most."""

SYSTEM_FILES = frozenset({"thumbs.db", "desktop.ini"})

Classes = Mapping[str, tuple[str, ...]]
"""Names of files relative to the root, by class; both in the order of their names."""


def splits(channels: Path) -> tuple[Path, dict[str, Classes]]:
    """The root and what lies below it by split; a folder without splits is all `train`.

    A name costs some 150 bytes: a million images, 150 MB. Raises TrainingFailed.
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
        return root, {"train": _classes(root, root)}
    _refuse_twins(root, named)
    return root, {
        SPLITS[name]: _classes(root, _unwrapped_split(folder)) for name, folder in named.items()
    }


def _unwrapped(folder: Path, most: int) -> Path:
    """Down through folders that hold one folder only, to the splits or to the classes."""
    folders = [each for each in _folders(folder) if each.name != WEIGHTS]
    if len(folders) != 1 or most == 0:
        return folder
    inner = _unwrapped(folders[0], most - 1)
    if any(SPLITS.get(each.name) == "train" for each in _folders(inner)):
        return inner
    return folder if folders[0].name in SPLITS or not _folders(folders[0]) else inner


def _unwrapped_split(folder: Path) -> Path:
    """A channel `train` may hold the folder `train` once more."""
    inner = _folders(folder)
    return inner[0] if len(inner) == 1 and inner[0].name == folder.name else folder


def _classes(root: Path, folder: Path) -> Classes:
    found = {
        each.name: tuple(sorted(_below(each, root)))
        for each in _folders(folder)
        if each != root / WEIGHTS
    }
    if not found:
        inside = "images but no folders" if next(_files(folder), None) else "no folders"
        raise TrainingFailed(
            f"{folder} holds {inside}; it needs one folder a class with that class's images in it."
        )
    return found


def _refuse_strangers(root: Path, named: Mapping[str, Path]) -> None:
    if named:
        raise TrainingFailed(
            f"{root} has {', '.join(sorted(named))} but no train: name the folder to learn from "
            "train."
        )


def _refuse_twins(root: Path, named: Mapping[str, Path]) -> None:
    for split in set(SPLITS.values()):
        twins = sorted(name for name in named if SPLITS[name] == split)
        if len(twins) > 1:
            raise TrainingFailed(f"{root} has both {' and '.join(twins)}: which one is meant?")


def _folders(folder: Path) -> list[Path]:
    return sorted(each for each in folder.iterdir() if each.is_dir() and not _hidden(each.name))


def _files(folder: Path) -> Iterator[str]:
    for each in folder.iterdir():
        if each.is_file() and not _hidden(each.name):
            yield each.name


def _below(folder: Path, root: Path) -> Iterator[str]:
    """Whatever is no folder, also what is no file: who reads it says so by its name. OSError.

    Links to folders below a class are not followed, so that none can lead in a circle; they count
    as files that cannot be read.
    """

    def refuse(error: OSError) -> None:
        raise error

    for path, folders, files in os.walk(folder, onerror=refuse):
        links = [name for name in folders if Path(path, name).is_symlink()]
        folders[:] = [name for name in folders if not _hidden(name)]
        for name in files + links:
            if not _hidden(name):
                yield Path(path, name).relative_to(root).as_posix()


def _hidden(name: str) -> bool:
    return name.startswith((".", "_")) or name.lower() in SYSTEM_FILES
