"""The directory of a TIFF or BigTIFF: tags and their values, with nothing decoded.

A directory costs one dictionary entry per tag, at most MAX_TAGS; values are viewed in the body.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from serving.decoding.undecodable import UndecodableError, corrupt, truncated, unsupported

MAX_TAGS = 4_096
MAX_HINTS = 8
"""The most values that are read of a tag that may be malformed."""

WORD_BYTES, COUNTER_BYTES, ENTRY_BYTES = (4, 8), (2, 8), (12, 20)
"""Of offsets, of a directory's count, and of a tag: in TIFF, and in BigTIFF."""

NEW_SUBFILE_TYPE, SUBFILE_TYPE = 254, 255
REDUCED_OR_MASK = 1 | 4
"""Bits of NewSubfileType."""

OLD_REDUCED = 2
"""SubfileType of TIFF 5.0."""

RATIONALS = (5, 10)
TYPES = {
    1: "u1", 2: "u1", 3: "u2", 4: "u4", 5: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 10: "i4",
    11: "f4", 12: "f8", 13: "u4", 16: "u8", 17: "i8", 18: "u8",
}  # fmt: skip
"""NumPy's name of each type of a tag; a rational is two numbers."""

TYPE_BYTES = {
    kind: np.dtype(name).itemsize * (2 if kind in RATIONALS else 1) for kind, name in TYPES.items()
}


@dataclass(frozen=True, slots=True)
class Tag:
    type: int
    count: int
    at: int
    """Where its values begin: in the tag itself if they fit."""

    @property
    def bytes(self) -> int:
        return TYPE_BYTES.get(self.type, 1) * self.count


@dataclass(frozen=True, slots=True)
class Directory:
    body: bytes
    order: Literal["<", ">"]
    tags: dict[int, Tag]
    count: int
    """How many tags it states."""
    end: int
    next: int
    """Where the directory behind it begins; 0: nowhere."""

    def numbers(self, number: int, most: int | None = None) -> NDArray[np.generic]:
        """The first values of a tag, rationals as quotients; none if the tag is absent.

        Raises UndecodableError if the tag points beyond the file.
        """
        tag = self.tags.get(number)
        if tag is None or tag.count == 0:
            return np.empty(0, np.int64)
        if tag.type not in TYPES:
            raise corrupt("tiff", f"its tag {number} has no type")
        if tag.at + tag.bytes > len(self.body):
            raise truncated("tiff")
        count = min(tag.count, most or tag.count) * (2 if tag.type in RATIONALS else 1)
        values = np.frombuffer(self.body, self.order + TYPES[tag.type], count, tag.at)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise corrupt("tiff", f"its tag {number} is no number")
        if tag.type not in RATIONALS:
            return values
        numerators, denominators = values.reshape(-1, 2).T.astype(np.float64)
        return np.asarray(numerators / np.where(denominators == 0, np.inf, denominators))

    def integers(self, number: int, default: tuple[int, ...] = ()) -> tuple[int, ...]:
        """The values of a tag that has few; `default` if there are none."""
        values = self.numbers(number, MAX_TAGS)
        return tuple(int(value) for value in values.tolist()) or default

    def integer(self, number: int, default: int) -> int:
        """The first value of a tag."""
        return self.integers(number, (default,))[0]

    def hints(self, number: int) -> list[float]:
        """The first values of a tag on which no sample depends; none if it is malformed."""
        try:
            return [float(value) for value in self.numbers(number, MAX_HINTS).tolist()]
        except UndecodableError:
            return []

    def hint(self, number: int, default: int) -> int:
        """The first of `hints`."""
        return int(next(iter(self.hints(number)), default))

    def content(self, number: int, max_bytes: int) -> bytes:
        """The bytes of a tag; none if it is absent, too long, or points beyond the file."""
        tag = self.tags.get(number)
        if tag is None or tag.bytes > max_bytes or tag.at + tag.bytes > len(self.body):
            return b""
        return self.body[tag.at : tag.at + tag.bytes]


def first_offset(body: bytes) -> int:
    """Where the first directory begins, as the header says."""
    word = WORD_BYTES[_is_big(body)]
    return int.from_bytes(body[word : 2 * word], _endian(body))


def scan_directory(body: bytes, at: int, max_tags: int) -> Directory:
    """The directory at a position, whatever it is worth, and up to `max_tags` of its tags."""
    endian, is_big = _endian(body), _is_big(body)
    word, counter, length = WORD_BYTES[is_big], COUNTER_BYTES[is_big], ENTRY_BYTES[is_big]

    def number(at: int, size: int) -> int:
        return int.from_bytes(body[at : at + size], endian)

    count, first, tags = number(at, counter), at + counter, dict[int, Tag]()
    end = first + count * length
    for entry in range(first, min(first + max_tags * length, end, len(body)), length):
        kind, values, place = number(entry + 2, 2), number(entry + 4, word), entry + 4 + word
        is_inside = TYPE_BYTES.get(kind, 1) * values <= word
        tag = Tag(kind, values, place if is_inside else number(place, word))
        tags.setdefault(number(entry, 2), tag)
    return Directory(body, "<" if endian == "little" else ">", tags, count, end, number(end, word))


def read_directory(body: bytes) -> Directory:
    """The first directory, the only one that is decoded.

    Raises UndecodableError if it is not there, has too many tags, or is that of a thumbnail.
    """
    at = first_offset(body)
    directory = scan_directory(body, at, MAX_TAGS)
    if directory.count > MAX_TAGS:
        raise UndecodableError(
            "too_expensive",
            f"The file takes too much work to decode: it has {directory.count:,} tags.",
        )
    if at == 0 or directory.count == 0 or directory.end > len(body):
        raise corrupt("tiff", "it has no directory of tags")
    is_reduced = directory.hint(SUBFILE_TYPE, 0) == OLD_REDUCED
    if is_reduced or directory.hint(NEW_SUBFILE_TYPE, 0) & REDUCED_OR_MASK:
        raise unsupported("A TIFF whose first picture is a thumbnail or a mask")
    return directory


def _endian(body: bytes) -> Literal["little", "big"]:
    return "little" if body[:2] == b"II" else "big"


def _is_big(body: bytes) -> bool:
    return 0x2B in body[2:4]
