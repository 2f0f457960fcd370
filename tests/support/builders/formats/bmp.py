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


def core_header(width: int, height: int, bits: int) -> bytes:
    """BITMAPCOREHEADER, of OS/2 and Windows 2."""
    return struct.pack("<IHHHH", 12, width, height, 1, bits)


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


def move_pixels(body: bytes, offset: int) -> bytes:
    """The file, which says that its pixels begin at `offset`, although they do not."""
    return body[:10] + struct.pack("<I", offset) + body[14:]


def palette_of(table: NDArray[np.uint8], size: int = 4) -> bytes:
    """Colours x 3, RGB, as blue, green, red and a zero; or without it."""
    return b"".join(bytes(colour[::-1]) + bytes(size - 3) for colour in table.tolist())


def rle8(indexes: NDArray[np.uint8], literals: bool, overrun: int = 0) -> bytes:
    """Bottom row first: as literals of up to 200, or as runs; the last run of a row is longer."""
    stream = b""
    for row in indexes[::-1].tolist():
        if literals:
            for start in range(0, len(row), 200):
                stream += _literal(row[start : start + 200])
        else:
            for value, count in _runs(row):
                stream += bytes([count, value])
        if overrun:
            stream += bytes([overrun, 7])
        stream += b"\0\0"
    return stream + b"\0\1"


def rle4(indexes: NDArray[np.uint8], literals: bool) -> bytes:
    """As `rle8`; runs are of two alternating colours."""
    stream = b""
    for row in indexes[::-1].tolist():
        for start in range(0, len(row), 7):
            part = row[start : start + 7]
            if literals and len(part) > 2:
                nibbles = [*part, *[9] * (len(part) % 2)]
                packed = bytes(a << 4 | b for a, b in zip(*[iter(nibbles)] * 2, strict=True))
                stream += bytes([0, len(part)]) + packed + b"\xaa" * (len(packed) % 2)
            else:
                for first in range(0, len(part), 2):
                    pair = part[first : first + 2]
                    stream += bytes([len(pair), pair[0] << 4 | pair[-1]])
        stream += b"\0\0"
    return stream + b"\0\1"


def _literal(values: list[int]) -> bytes:
    """One or two values are a run each: their counts mean something else."""
    if len(values) < 3:
        return b"".join(bytes([1, value]) for value in values)
    return bytes([0, len(values), *values]) + b"\xaa" * (len(values) % 2)


def _runs(row: list[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for value in row:
        if runs and runs[-1][0] == value and runs[-1][1] < 255:
            runs[-1] = value, runs[-1][1] + 1
        else:
            runs.append((value, 1))
    return runs
