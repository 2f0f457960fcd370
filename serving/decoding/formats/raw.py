"""Camera raw files that look like TIFF: their first picture is a preview, or not yet a picture.

DNG, NEF, ARW, PEF, SRW and others are TIFF files whose directories hold samples of a sensor behind
its colour filter. A preview of them is not the photograph.
"""

from collections.abc import Iterator
from typing import Literal

from serving.decoding.formats.foreign import RAW, UnsupportedFormat

MAX_DIRECTORIES = 20
MAX_TAGS = 500
"""Of a directory. With 20 directories, reading them takes 10 ms at most."""

SUBFILE_TYPE, COMPRESSION, PHOTOMETRIC, MAKE, SUB_DIRECTORIES = 254, 259, 262, 271, 330
CFA_PATTERN, DNG_VERSION = 33_422, 50_706
REDUCED_RESOLUTION = 1

COLOUR_FILTER, LINEAR_RAW = 32_803, 34_892
RAW_COMPRESSIONS = frozenset((32_767, 32_769, 32_770, 32_867, 34_713, 65_000, 65_535))
"""Of Sony, Samsung, Kodak, Nikon and Pentax."""

Directory = dict[int, list[int]]
"""The values of the tags that matter here."""

TAGS = frozenset(
    (SUBFILE_TYPE, COMPRESSION, PHOTOMETRIC, MAKE, SUB_DIRECTORIES, CFA_PATTERN, DNG_VERSION)
)
CR2_MAGIC = b"\x10\0\0\0CR\2"
IIQ_MAGIC, IIQ_BIG_ENDIAN = (b"IIII", b"waR"), (b"MMMM", b"Raw")
"""Behind the byte order and version of a TIFF."""

VALUE_BYTES = {3: 2, 4: 4, 13: 4, 16: 8, 18: 8}
MAX_VALUES = 8


def recognise_tiff(body: bytes) -> UnsupportedFormat | None:
    """A camera raw file, or a preview in front of its picture; None for any other TIFF."""
    if body[4:11] == CR2_MAGIC:
        return UnsupportedFormat(f"{RAW} (CR2)", "raw")
    if (body[8:12], body[13:16]) == IIQ_MAGIC or (body[8:12], body[12:15]) == IIQ_BIG_ENDIAN:
        return UnsupportedFormat(f"{RAW} (IIQ)", "raw")
    directories = list(_read_directories(body))
    if not directories:
        return None
    first = directories[0]
    if DNG_VERSION in first:
        return UnsupportedFormat(f"{RAW} (DNG)", "raw")
    if any(_is_raw(directory) for directory in directories):
        return UnsupportedFormat(RAW, "raw")
    is_preview = first.get(SUBFILE_TYPE, [0])[0] & REDUCED_RESOLUTION
    if is_preview and len(directories) > 1:
        if MAKE in first:
            return UnsupportedFormat(RAW, "raw")
        return UnsupportedFormat("a TIFF whose first picture is a preview of another")
    return None


def _is_raw(directory: Directory) -> bool:
    return (
        directory.get(PHOTOMETRIC, [0])[0] in (COLOUR_FILTER, LINEAR_RAW)
        or directory.get(COMPRESSION, [0])[0] in RAW_COMPRESSIONS
        or CFA_PATTERN in directory
    )


def _read_directories(body: bytes) -> Iterator[Directory]:
    """The first directories: those that follow each other, and those that are parts of others."""
    order: Literal["little", "big"] = "little" if body[:2] == b"II" else "big"
    is_big = 0x2B in body[2:4]
    word, counter, entry = (8, 8, 20) if is_big else (4, 2, 12)

    def number(at: int, size: int) -> int:
        return int.from_bytes(body[at : at + size], order)

    offsets, visited = [number(word, word)], set[int]()
    while offsets and len(visited) < MAX_DIRECTORIES:
        offset = offsets.pop(0)
        if offset in visited or not 8 <= offset < len(body):
            continue
        visited.add(offset)
        directory: Directory = {}
        count = min(number(offset, counter), MAX_TAGS)
        first = offset + counter
        for at in range(first, first + count * entry, entry):
            tag, size, values = (
                number(at, 2),
                VALUE_BYTES.get(number(at + 2, 2), 1),
                number(at + 4, word),
            )
            if tag in TAGS:
                field = at + 4 + word
                start = field if size * values <= word else number(field, word)
                ends = range(start, start + size * min(values, MAX_VALUES), size)
                directory[tag] = [number(value, size) for value in ends] or [0]
        yield directory
        offsets += directory.get(SUB_DIRECTORIES, [])
        offsets.append(number(first + count * entry, word))
