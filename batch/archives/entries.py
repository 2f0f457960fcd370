"""One entry of an archive, whatever its format."""

from collections.abc import Callable
from dataclasses import dataclass

from domain.errors import SortboxError


class EntryError(SortboxError):
    """The content of one entry cannot be unpacked; the others can."""


@dataclass(frozen=True, slots=True)
class ArchiveEntry:
    """A file of an archive, or what stands for one.

    `number` counts all entries from 0. `problem`: why it cannot be unpacked; None for a file.
    `read` returns its content, once, before the next entry. `after`: where the next entry begins.
    `is_folder`: a folder, or a record about the whole archive; there is nothing to unpack.
    `is_guessed`: the bytes of its name are not UTF-8, and nothing says what they are.
    """

    number: int
    name: str
    size: int
    problem: str | None
    read: Callable[[], bytes]
    after: int
    is_folder: bool = False
    is_guessed: bool = False


LINK = "a link"
SPECIAL = "a device or a pipe, and not a file"
DAMAGED = "damaged"
ENCRYPTED = "encrypted"


def decode_name(raw: bytes, otherwise: str) -> tuple[str, bool]:
    """A name as UTF-8 where it is valid, and as a guess (True) in the encoding `otherwise`."""
    try:
        return raw.decode(), False
    except UnicodeDecodeError:
        return raw.decode(otherwise), True
