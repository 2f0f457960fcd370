"""Where a file that a person drops goes, by its path on their machine."""

from dataclasses import dataclass
from typing import Literal

from console.uploads.content import LARGEST_FILE_BYTES
from domain.errors import SortboxError
from domain.keys import INBOX, KEY_BYTES
from domain.route import LARGEST_BYTES, Ignored, PackedFolder, Ready, route


@dataclass(frozen=True, slots=True)
class NotSent:
    """A file that is not uploaded. `ignored`: nobody's image; `marker`: the page writes it at the
    end; `refused`: a person has to do something first. The reason is one of few.
    """

    state: Literal["ignored", "marker", "refused"]
    reason: str


class PathRefusedError(SortboxError):
    """The path has no place in the inbox; the sentence says why."""


def key_of(path: str, size: int) -> str | NotSent:
    """The inbox key of a file of `size` bytes at this path, such as `trip/day 1/a.heic`."""
    try:
        key_bytes = len(f"{INBOX}{path}".encode())
    except UnicodeEncodeError:
        return NotSent("refused", "its name holds half of a character: rename it")
    if any(segment in ("", ".", "..") for segment in path.split("/")):
        return NotSent("refused", "its path has a part that is empty, . or ..")
    if key_bytes > KEY_BYTES:
        reason = f"its path is longer than the {KEY_BYTES - len(INBOX):,} bytes that S3 takes: "
        return NotSent("refused", f"{reason}shorten its name, or those of its folders")
    key = f"{INBOX}{path}"
    match route(key):
        case Ignored(reason):
            return NotSent("ignored", reason)
        case Ready():
            return NotSent("marker", "it is written when all files of its folder are there")
        case PackedFolder():
            most, what = LARGEST_FILE_BYTES, "archive"
        case _:
            most, what = LARGEST_BYTES, "image"
    if size > most:
        return NotSent("refused", f"it is larger than the largest {what}, {most:,} bytes")
    return key


def check_key(path: str, size: int = 0) -> str:
    """As `key_of`, where the page knows that the file is sent; raises PathRefusedError."""
    key = key_of(path, size)
    if isinstance(key, NotSent):
        raise PathRefusedError(f"A file was not sent: {key.reason}.")
    return key
