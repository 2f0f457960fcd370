"""Run-length encoded bitmaps of four and eight bits.

A loop in Python, of about half a microsecond per run; the decoder's processor time bounds it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from serving.decoding.undecodable import truncated

END_OF_ROW, END_OF_BITMAP, DELTA = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Move:
    """To a pixel that is further right or up; or to the next row's first, if `columns` is None."""

    columns: int | None
    rows: int


NEXT_ROW = Move(None, 1)


def decode_runs(packed: memoryview, width: int, height: int, bits: int) -> bytearray:
    """Indexes of the palette, bottom row first: width x height bytes.

    What a run has beyond the end of its row is dropped, as Windows does: encoders pad rows to an
    even number of pixels. What is skipped has the colour of index 0. Raises UndecodableError if
    the runs end before the image does, without saying so.
    """
    indexes = bytearray(width * height)
    column, row = 0, 0
    for step in _read_runs(packed, bits):
        if isinstance(step, bytes):
            start, room = row * width + column, min(len(step), width - column)
            if room > 0:
                indexes[start : start + room] = step[:room]
            column += len(step)
        else:
            column = 0 if step.columns is None else column + step.columns
            row += step.rows
        if row >= height or (row == height - 1 and column >= width):
            break
    return indexes


def _read_runs(packed: memoryview, bits: int) -> Iterator[bytes | Move]:
    """Runs of indexes, and moves between them, up to the end of the bitmap."""
    at, end = 0, len(packed)
    while at + 2 <= end:
        count, value = packed[at], packed[at + 1]
        at += 2
        if count:
            yield bytes([value]) * count if bits == 8 else _alternate(value, count)
        elif value == END_OF_ROW:
            yield NEXT_ROW
        elif value == END_OF_BITMAP:
            return
        elif value == DELTA and at + 2 <= end:
            yield Move(packed[at], packed[at + 1])
            at += 2
        else:
            size = value if bits == 8 else (value + 1) // 2
            literal = bytes(packed[at : at + size])
            if value == DELTA or len(literal) < size:
                break
            yield literal if bits == 8 else _split_nibbles(literal)[:value]
            at += size + size % 2
    raise truncated("bmp")


def _alternate(value: int, count: int) -> bytes:
    return (bytes([value >> 4, value & 15]) * (count // 2 + 1))[:count]


def _split_nibbles(packed: bytes) -> bytes:
    return bytes(nibble for byte in packed for nibble in (byte >> 4, byte & 15))
