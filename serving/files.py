"""Read untrusted files without blocking on pipes, devices and the like."""

import errno
import os
import stat
from pathlib import Path

FILE_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def read_regular(path: Path, max_bytes: int) -> bytes:
    """The content of a regular file of at most `max_bytes`, or of a link to one.

    The file is opened without blocking and checked before it is read: a pipe without a writer would
    block forever, and a device has no end. A file that grows meanwhile is truncated at the size it
    had. Raises OSError with a reason in `strerror`.
    """
    flags = os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags | os.O_NONBLOCK)
    except BlockingIOError:  # a lease of a file server, which a blocking open waits for
        check_regular(path.stat(), path, max_bytes)
        descriptor = os.open(path, flags)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        check_regular(status, path, max_bytes)
        return file.read(status.st_size)


def check_regular(status: os.stat_result, path: Path, max_bytes: int) -> None:
    """Raises OSError if it is not a regular file, or is larger than `max_bytes`."""
    if not stat.S_ISREG(status.st_mode):
        kind = FILE_KINDS.get(stat.S_IFMT(status.st_mode), "something else")
        raise OSError(errno.EINVAL, f"it is {kind} and no regular file", str(path))
    if status.st_size > max_bytes:
        raise OSError(errno.EFBIG, f"it is larger than {max_bytes:,} bytes", str(path))
