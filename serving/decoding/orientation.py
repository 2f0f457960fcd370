"""The EXIF orientation of an image: how it is read, and how pixels are turned upright."""

import re
from typing import Literal

import numpy as np
from numpy.typing import NDArray

UPRIGHT = 1
SIDEWAYS = (5, 6, 7, 8)
"""Orientations that exchange width and height."""

ORIENTATION_TAG = 0x0112
TAG_BYTES = 12
MAX_TAGS = 1_000
"""Cameras write about 50 tags. Only the table is read, never what its entries point to."""

EXIF_PREFIX = re.compile(rb"^(?:Exif\0\0)*")
XMP_ORIENTATION = re.compile(rb"""tiff:Orientation\s*(?:=\s*["']|>)\s*([1-8])\b""")

VALUE_BYTES = {3: 2, 4: 4}
"""The sizes of the types SHORT and LONG. The standard says SHORT."""


def read(exif: bytes, xmp: bytes = b"") -> int:
    """The orientation in an image's metadata; XMP counts where EXIF has none.

    Malformed metadata does not make the pixels invalid: they are UPRIGHT, and no error is raised.
    """
    orientation = _read_exif(EXIF_PREFIX.sub(b"", exif, count=1))
    if orientation is None and (match := XMP_ORIENTATION.search(xmp)):
        orientation = int(match[1])
    return UPRIGHT if orientation is None else orientation


def _read_exif(tiff: bytes) -> int | None:
    """The tag in the first directory (TIFF 6.0, section 2), None if it is absent or malformed."""
    order: Literal["little", "big"] = "little" if tiff[:2] == b"II" else "big"
    if tiff[:2] not in (b"II", b"MM") or len(tiff) < 8:
        return None
    first = int.from_bytes(tiff[4:8], order)
    count = min(int.from_bytes(tiff[first : first + 2], order), MAX_TAGS)
    for at in range(first + 2, first + 2 + count * TAG_BYTES, TAG_BYTES):
        tag = tiff[at : at + TAG_BYTES]
        if len(tag) < TAG_BYTES:
            return None
        if int.from_bytes(tag[:2], order) == ORIENTATION_TAG:
            size = VALUE_BYTES.get(int.from_bytes(tag[2:4], order), 0)
            return int.from_bytes(tag[8 : 8 + size], order) if size else None
    return None


def upright_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Width and height after `turn`."""
    return (height, width) if orientation in SIDEWAYS else (width, height)


def turn(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn (H, W, 3) upright; orientations other than 2 to 8 do nothing."""
    match orientation:
        case 2:
            turned = pixels[:, ::-1]
        case 3:
            turned = pixels[::-1, ::-1]
        case 4:
            turned = pixels[::-1]
        case 5:
            turned = pixels.swapaxes(0, 1)
        case 6:
            turned = pixels[::-1].swapaxes(0, 1)
        case 7:
            turned = pixels[::-1, ::-1].swapaxes(0, 1)
        case 8:
            turned = pixels[:, ::-1].swapaxes(0, 1)
        case _:
            return pixels
    return np.ascontiguousarray(turned)
