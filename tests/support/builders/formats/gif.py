"""GIF files of any variant, written from their parts."""

import struct
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

TRAILER = b"\x3b"
MAX_CODE = 4_095
PASSES = ((0, 8), (4, 8), (2, 4), (1, 2))
"""The first row of each pass of an interlaced picture, and the step to the next."""


def screen(width: int, height: int, palette: bytes = b"", version: bytes = b"GIF89a") -> bytes:
    """The header, with a global palette of 2 to 256 colours."""
    flags = 0x80 | _size_field(palette) if palette else 0
    return version + struct.pack("<HHBBB", width, height, flags, 0, 0) + palette


def graphic_control(transparent: int | None = None, disposal: int = 0) -> bytes:
    flags = disposal << 2 | (transparent is not None)
    return b"\x21\xf9\x04" + struct.pack("<BHBB", flags, 10, transparent or 0, 0)


def extension(label: int, content: bytes) -> bytes:
    return bytes((0x21, label)) + _parts(content)


def frame(
    indices: NDArray[np.uint8],
    bits: int,
    place: tuple[int, int] = (0, 0),
    palette: bytes = b"",
    interlaced: bool = False,
) -> bytes:
    """The descriptor, with a local palette where there is one, and the data."""
    height, width = indices.shape
    flags = (0x80 | _size_field(palette) if palette else 0) | interlaced << 6
    rows = indices
    if interlaced:
        rows = np.concatenate([indices[first::step] for first, step in PASSES])
    data = bytes((max(2, bits),)) + _parts(compress(rows.tobytes(), max(2, bits)))
    return b"\x2c" + struct.pack("<HHHHB", *place, width, height, flags) + palette + data


def compress(values: Iterable[int], bits: int, clears: bool = True) -> bytes:
    """LZW. Without `clears`, a full dictionary is kept, as GIF 89a allows."""
    clear, end = 1 << bits, (1 << bits) + 1
    writer = _Bits()
    alphabet: dict[tuple[int, ...], int] = {(value,): value for value in range(clear)}
    width, codes, following = bits + 1, dict(alphabet), end + 1
    writer.write(clear, width)
    prefix: tuple[int, ...] = ()
    for value in values:
        longer = (*prefix, value)
        if longer in codes:
            prefix = longer
            continue
        writer.write(codes[prefix], width)
        if following <= MAX_CODE:
            codes[longer] = following
            following += 1
            width = max(width, (following - 1).bit_length())
        elif clears:
            writer.write(clear, width)
            width, codes, following = bits + 1, dict(alphabet), end + 1
        prefix = (value,)
    writer.write(codes[prefix], width)
    writer.write(end, width)
    return writer.close()


class _Bits:
    """Codes of some bits each, the lowest first."""

    def __init__(self) -> None:
        self._bits, self._count = 0, 0

    def write(self, code: int, width: int) -> None:
        self._bits |= code << self._count
        self._count += width

    def close(self) -> bytes:
        return self._bits.to_bytes((self._count + 7) // 8, "little")


def _parts(content: bytes) -> bytes:
    parts = [content[at : at + 255] for at in range(0, len(content), 255)]
    return b"".join(bytes((len(part),)) + part for part in parts) + b"\0"


def _size_field(palette: bytes) -> int:
    return max(0, (len(palette) // 3 - 1).bit_length() - 1)
