"""What a folder of a data set holds, without the files and folders that are ignored."""

import os
from collections.abc import Iterator
from pathlib import Path

from domain.ignored.reasons import why_folder_ignored, why_ignored

IMAGE_SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".heic", ".heif"),
        *(".avif", ".ppm", ".pgm"),
    )
)
"""Only to tell folders of images from others: what a file is, its bytes say."""


def folders_in(folder: Path) -> list[Path]:
    """In the order of their names; links to folders too."""
    return sorted(
        entry
        for entry in folder.iterdir()
        if entry.is_dir() and why_folder_ignored(entry.name) is None
    )


def files_in(folder: Path) -> Iterator[str]:
    for entry in folder.iterdir():
        if entry.is_file() and why_ignored(entry.name) is None:
            yield entry.name


def is_image(name: str) -> bool:
    return Path(name).suffix.casefold() in IMAGE_SUFFIXES and why_ignored(name) is None


def holds_images(folder: Path) -> bool:
    """At any depth."""
    return any(is_image(name) for _, _, files in os.walk(folder) for name in files)


def count_files(folder: Path) -> int:
    """At any depth, ignored ones too."""
    return sum(len(files) for _, _, files in os.walk(folder))
