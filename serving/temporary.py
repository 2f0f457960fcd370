"""The server's folder for temporary files, which goes with it, or before the next server starts.

`multiprocessing` keeps the socket of its fork server in one, and leaves it where the server is
killed. A server holds a lock on its folder; the kernel lets go of it, whatever ends the server.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PREFIX = "sortbox."
"""Of nothing else, since what nobody holds is removed; and short: a socket's path has 107 bytes."""


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Of this process, for all that it makes by `tempfile`. Removes those of dead processes."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        if (lock := _locked(folder)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)
    folder, lock = _claimed()
    before, tempfile.tempdir = tempfile.tempdir, str(folder)
    try:
        yield folder
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _claimed() -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        lock = _locked(folder)
        if lock is not None and folder.exists():
            return folder, lock
        if lock is not None:  # another server took it for abandoned
            os.close(lock)


def _locked(folder: Path) -> int | None:
    """A descriptor that holds it; None where it is held, gone, a link, or somebody else's."""
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
