"""The server's folder for temporary files, deleted at its end, or by the next server.

`multiprocessing` keeps the socket of its fork server in it, and leaves it behind if the server is
killed. A server holds a lock on its folder, which the kernel releases however the server ends.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FOLDER_PREFIX = "sortbox."
"""Folders with this prefix that are not locked are deleted, so nothing else may use it. Short,
because the path of a socket is limited to 107 bytes."""

SHORT = "/tmp"
PLACE_BYTES = 54
"""The longest path of a folder for temporary files that leaves room for the fork server's socket,
`/sortbox.12345678/pymp-12345678/listener-12345678`, in the 104 bytes of macOS."""


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Set `tempfile`'s folder to a new one of this process, and delete those of ended processes.

    It is in SHORT if the path of TMPDIR is too long for a socket.
    """
    place = tempfile.gettempdir()
    if len(os.fsencode(place)) > PLACE_BYTES:
        place = SHORT
    for folder in Path(place).glob(f"{FOLDER_PREFIX}*"):
        if (lock := _try_lock(folder)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
    folder, lock = _create_locked(place)
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield folder
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _create_locked(place: str) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=place))
        lock = _try_lock(folder)
        if lock is not None and folder.exists():
            return folder, lock
        if lock is not None:  # another server deleted it before it was locked
            os.close(lock)


def _try_lock(folder: Path) -> int | None:
    """A descriptor that locks the folder; None if it is locked, deleted, a link, or not ours."""
    with suppress(OSError):
        lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(lock).st_uid == os.getuid():
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return lock
        except BlockingIOError:
            pass
        os.close(lock)
    return None
