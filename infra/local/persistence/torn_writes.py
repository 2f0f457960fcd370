"""Undo writes of objects that the end of the emulator cut in two.

The emulator writes an object's bytes, then a sidecar with its size, ETag and version: two files. If
the bytes are newer than their sidecar, the second write is missing, and nobody was told that the
object is stored: the version before takes its place again. Takes some seconds for a million
objects, before each start.
"""

import json
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

SIDECAR = ".meta.json"
UNFINISHED = ".tmp"
VERSIONS = ".versions"

logger = logging.getLogger("torn-writes")


def undo(folder: Path) -> int:
    """Undo torn writes below the emulator's folder of objects; returns how many there were."""
    torn = 0
    for bytes_at, sidecar in _objects(folder):
        if bytes_at.stat().st_mtime_ns > sidecar.stat().st_mtime_ns:
            _undo(folder, bytes_at, sidecar)
            torn += 1
    return torn


def _undo(folder: Path, bytes_at: Path, sidecar: Path) -> None:
    version = json.loads(sidecar.read_text()).get("version_id") or "null"
    account, bucket, *key = bytes_at.relative_to(folder).parts
    before = folder.joinpath(VERSIONS, account, bucket, version, *key)
    logger.warning("the write of %s was cut off; undoing it", bytes_at)
    if before.is_file():
        part = bytes_at.with_name(bytes_at.name + UNFINISHED)
        shutil.copyfile(before, part)
        part.replace(bytes_at)
        sidecar.touch()
    else:  # a bucket without versions: the new bytes stay, and the emulator measures them
        sidecar.unlink()


def _objects(folder: Path) -> Iterator[tuple[Path, Path]]:
    """The bytes and the sidecar of every object. Files that were never finished are deleted: no
    object's file has such a name.
    """
    for parent, folders, names in os.walk(folder):
        if parent == str(folder) and VERSIONS in folders:
            folders.remove(VERSIONS)
        files = set(names)
        for name in names:
            if name.endswith(UNFINISHED):
                Path(parent, name).unlink()
            elif name + SIDECAR in files:
                yield Path(parent, name), Path(parent, name + SIDECAR)
