"""Camera raw files that look like TIFF: their first picture is a preview, or not yet a picture.

DNG, NEF, ARW, PEF, SRW and others are TIFF files whose directories hold samples of a sensor behind
its colour filter. A preview of them is not the photograph.
"""

from collections.abc import Iterator

from serving.decoding.formats.foreign import RAW, UnsupportedFormat
from serving.decoding.formats.tiff.directory import (
    NEW_SUBFILE_TYPE,
    Directory,
    first_offset,
    scan_directory,
)

MAX_DIRECTORIES = 20
MAX_TAGS = 500
"""Of a directory. With 20 directories, scanning them takes 15 ms at most."""

COMPRESSION, PHOTOMETRIC, MAKE, SUB_DIRECTORIES = 259, 262, 271, 330
CFA_PATTERN, DNG_VERSION = 33_422, 50_706
REDUCED_RESOLUTION = 1

COLOUR_FILTER, LINEAR_RAW = 32_803, 34_892
RAW_COMPRESSIONS = frozenset((32_767, 32_769, 32_770, 32_867, 34_713, 65_000, 65_535))
"""Of Sony, Samsung, Kodak, Nikon and Pentax."""

CR2_MAGIC = b"\x10\0\0\0CR\2"
IIQ_MAGIC, IIQ_BIG_ENDIAN = (b"IIII", b"waR"), (b"MMMM", b"Raw")
"""Behind the byte order and version of a TIFF."""


def recognise_tiff(body: bytes) -> UnsupportedFormat | None:
    """A camera raw file, or a preview in front of its picture; None for any other TIFF."""
    if body[4:11] == CR2_MAGIC:
        return UnsupportedFormat(f"{RAW} (CR2)", "raw")
    if (body[8:12], body[13:16]) == IIQ_MAGIC or (body[8:12], body[12:15]) == IIQ_BIG_ENDIAN:
        return UnsupportedFormat(f"{RAW} (IIQ)", "raw")
    directories = list(_scan_directories(body))
    if not directories:
        return None
    first = directories[0]
    if DNG_VERSION in first.tags:
        return UnsupportedFormat(f"{RAW} (DNG)", "raw")
    if any(_is_raw(directory) for directory in directories):
        return UnsupportedFormat(RAW, "raw")
    is_preview = first.hint(NEW_SUBFILE_TYPE, 0) & REDUCED_RESOLUTION
    if is_preview and len(directories) > 1:
        if MAKE in first.tags:
            return UnsupportedFormat(RAW, "raw")
        return UnsupportedFormat("a TIFF whose first picture is a preview of another")
    return None


def _is_raw(directory: Directory) -> bool:
    return (
        directory.hint(PHOTOMETRIC, 0) in (COLOUR_FILTER, LINEAR_RAW)
        or directory.hint(COMPRESSION, 0) in RAW_COMPRESSIONS
        or CFA_PATTERN in directory.tags
    )


def _scan_directories(body: bytes) -> Iterator[Directory]:
    """The first directories: those that follow each other, and those that are parts of others."""
    offsets, visited = [first_offset(body)], set[int]()
    while offsets and len(visited) < MAX_DIRECTORIES:
        offset = offsets.pop(0)
        if offset in visited or not 8 <= offset < len(body):
            continue
        visited.add(offset)
        directory = scan_directory(body, offset, MAX_TAGS)
        yield directory
        offsets += (int(part) for part in directory.hints(SUB_DIRECTORIES))
        offsets.append(directory.next)
