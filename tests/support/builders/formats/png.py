"""PNG files of any variant, written from their samples and chunks."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
ADAM7 = (
    (0, 0, 8, 8),
    (0, 4, 8, 8),
    (4, 0, 8, 4),
    (0, 2, 4, 4),
    (2, 0, 4, 2),
    (0, 1, 2, 2),
    (1, 0, 2, 1),
)
"""The first row and column of each pass, and the steps to the next."""

Samples = NDArray[np.uint16]
"""H x W x channels, each below 2 to the power of the bits."""


@dataclass(frozen=True)
class Layout:
    bits: int
    colour: int
    interlaced: bool = False
    filters: Sequence[int] = (0,)
    """Of the rows, in turn."""


def chunk(kind: bytes, content: bytes, checksum: int | None = None) -> bytes:
    crc = zlib.crc32(kind + content) if checksum is None else checksum
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc)


def header(width: int, height: int, layout: Layout) -> bytes:
    fields = (width, height, layout.bits, layout.colour, 0, 0, layout.interlaced)
    return chunk(b"IHDR", struct.pack(">IIBBBBB", *fields))


def pack(samples: Samples, layout: Layout) -> bytes:
    """The content of IDAT."""
    passes = [samples]
    if layout.interlaced:
        passes = [samples[top::down, left::right] for top, left, down, right in ADAM7]
    rows = b"".join(_filter_rows(part, layout) for part in passes if part.size)
    return zlib.compress(rows)


def file_of(samples: Samples, layout: Layout, *before: bytes, after: bytes = b"") -> bytes:
    """`before` are whole chunks in front of the data, `after` those behind it."""
    height, width, _ = samples.shape
    data = chunk(b"IDAT", pack(samples, layout))
    return b"".join(
        (SIGNATURE, header(width, height, layout), *before, data, after, chunk(b"IEND", b""))
    )


def _filter_rows(samples: Samples, layout: Layout) -> bytes:
    height, _, channels = samples.shape
    step = max(1, layout.bits * channels // 8)
    above: NDArray[np.int_] | None = None
    filtered = []
    for number in range(height):
        row = np.frombuffer(_pack_bits(samples[number].ravel(), layout.bits), np.uint8).astype(int)
        up = np.zeros_like(row) if above is None else above
        left, corner = (
            np.concatenate([np.zeros(step, int), line[:-step]])[: len(row)] for line in (row, up)
        )
        kind = layout.filters[number % len(layout.filters)]
        prediction = (0 * row, left, up, (left + up) // 2, _paeth(left, up, corner))[kind]
        filtered.append(bytes((kind,)) + ((row - prediction) % 256).astype(np.uint8).tobytes())
        above = row
    return b"".join(filtered)


def _pack_bits(values: Samples, bits: int) -> bytes:
    if bits == 16:
        return values.astype(">u2").tobytes()
    spread = np.unpackbits(values.astype(np.uint8)[:, np.newaxis], axis=1)[:, 8 - bits :]
    return np.packbits(spread.ravel()).tobytes()


def _paeth(
    left: NDArray[np.int_], up: NDArray[np.int_], corner: NDArray[np.int_]
) -> NDArray[np.int_]:
    estimate = left + up - corner
    a, b, c = abs(estimate - left), abs(estimate - up), abs(estimate - corner)
    return np.where((a <= b) & (a <= c), left, np.where(b <= c, up, corner))
