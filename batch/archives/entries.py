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
    """

    number: int
    name: str
    size: int
    problem: str | None
    read: Callable[[], bytes]
    after: int


LINK = "a link"
SPECIAL = "a device or a pipe, and not a file"
DAMAGED = "damaged"
ENCRYPTED = "encrypted"


def decode_name(raw: bytes, otherwise: str) -> str:
    """A name as UTF-8 where it is valid, and in the encoding `otherwise` where it is not."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode(otherwise)
