"""Windows bitmaps of any variant, written from their parts."""

import struct

import numpy as np
from numpy.typing import NDArray


def pack_rows(levels: NDArray[np.uint8], bits: int) -> bytes:
    """H x W of `bits` each, bottom row first, rows padded to four bytes."""
    spread = np.unpackbits(levels[::-1, :, np.newaxis], axis=2)[:, :, 8 - bits :]
    rows = np.packbits(spread.reshape(len(levels), -1), axis=1)
    return pad_rows(rows)


def pad_rows(rows: NDArray[np.uint8]) -> bytes:
    """H x bytes, as they are stored, padded to four bytes."""
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4))).tobytes()


def info_header(
    width: int, height: int, bits: int, compression: int = 0, colours: int = 0, size: int = 40
) -> bytes:
    """BITMAPINFOHEADER, or the beginning of a later one: the rest is zeros."""
    fields = struct.pack(
        "<IiiHHIIiiII", size, width, height, 1, bits, compression, 0, 2835, 2835, colours, 0
    )
    return fields.ljust(size, b"\0")


def file_of(header: bytes, pixels: bytes, palette: bytes = b"", gap: bytes = b"") -> bytes:
    """The file header in front of them all."""
    start = 14 + len(header) + len(palette) + len(gap)
    total = start + len(pixels)
    return b"BM" + struct.pack("<IHHI", total, 0, 0, start) + header + palette + gap + pixels
