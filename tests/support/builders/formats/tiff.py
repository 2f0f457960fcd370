"""TIFF and BigTIFF of any variant, written from their parts.

Only CCITT, LZMA and Zstandard are packed by libtiff; strips of its files are put into ours.
"""

import io
import struct
import zlib
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

SHORT, LONG, RATIONAL, FLOAT_TYPE, LONG8 = 3, 4, 5, 11, 16
LETTERS = {1: "B", SHORT: "H", LONG: "I", RATIONAL: "I", 7: "B", FLOAT_TYPE: "f", LONG8: "Q"}
Order = Literal["<", ">"]
Tags = dict[int, tuple[int, list[Any]]]
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
BY_LIBTIFF = {2: "tiff_ccitt", 3: "group3", 4: "group4", 34925: "lzma", 50000: "zstd"}


@dataclass(frozen=True)
class Layout:
    """How the samples are stored, beside what they mean."""

    order: Order = "<"
    compression: int = 1
    predictor: int = 1
    is_planar: bool = False
    fill_order: int = 1
    rows_per_strip: int = 0
    """Zero: one strip."""
    tile: tuple[int, int] | None = None
    """Rows and columns."""
    is_big: bool = False
    tags: Tags = field(default_factory=dict)
    """More tags, or others than would be written."""
    without: tuple[int, ...] = ()
    """Tags that are not written."""


def write(samples: NDArray[Any], bits: int, photometric: int, layout: Layout) -> bytes:
    """H x W x channels of numbers of `bits` bits, unsigned or floats."""
    height, width, channels = samples.shape
    planes = np.split(samples, channels, axis=2) if layout.is_planar else [samples]
    segments = [
        _pack(segment, bits, layout) for plane in planes for segment in _split(plane, layout)
    ]
    tags: Tags = {
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, [bits] * channels),
        259: (SHORT, [layout.compression]),
        262: (SHORT, [photometric]),
        277: (SHORT, [channels]),
        284: (SHORT, [2 if layout.is_planar else 1]),
    }
    if samples.dtype.kind == "f":
        tags[339] = SHORT, [3] * channels
    if layout.predictor != 1:
        tags[317] = SHORT, [layout.predictor]
    if layout.fill_order != 1:
        tags[266] = SHORT, [layout.fill_order]
    if layout.tile:
        tags |= {322: (LONG, [layout.tile[1]]), 323: (LONG, [layout.tile[0]])}
    else:
        tags[278] = LONG, [layout.rows_per_strip or height]
    return join(tags, segments, layout)


def join(tags: Tags, segments: list[bytes], layout: Layout) -> bytes:
    """A file of one directory and its strips or tiles."""
    kind = LONG8 if layout.is_big else LONG
    first = 324 if layout.tile else 273
    lengths = [len(segment) for segment in segments]
    tags = tags | {
        first: (kind, [0] * len(segments)),
        first + (1 if layout.tile else 6): (kind, lengths),
    }
    tags |= layout.tags
    for number in layout.without:
        del tags[number]
    letter, size = ("Q", 8) if layout.is_big else ("I", 4)
    head = 16 if layout.is_big else 8
    entry_bytes = 4 + 2 * size
    at = head + (8 if layout.is_big else 2) + entry_bytes * len(tags) + size
    values = {number: _value(layout.order, *tag) for number, tag in tags.items()}
    start = at + sum(len(value) for value in values.values() if len(value) > size)
    offsets = [start + sum(lengths[:index]) for index in range(len(lengths))]
    values[first] = _value(layout.order, kind, offsets)
    entries, outside = b"", b""
    for number, value in sorted(values.items()):
        count = len(tags[number][1]) // (2 if tags[number][0] == RATIONAL else 1)
        if len(value) > size:
            outside += value
            value, at = struct.pack(layout.order + letter, at), at + len(value)
        entries += struct.pack(f"{layout.order}HH{letter}", number, tags[number][0], count)
        entries += value.ljust(size, b"\0")
    mark = b"II" if layout.order == "<" else b"MM"
    if layout.is_big:
        header = mark + struct.pack(f"{layout.order}HHHQQ", 43, 8, 0, 16, len(tags))
    else:
        header = mark + struct.pack(f"{layout.order}HIH", 42, 8, len(tags))
    return header + entries + bytes(size) + outside + b"".join(segments)


def _value(order: Order, kind: int, values: list[Any]) -> bytes:
    return struct.pack(f"{order}{len(values)}{LETTERS[kind]}", *values)


def _split(plane: NDArray[Any], layout: Layout) -> list[NDArray[Any]]:
    """Strips, or tiles padded with noise, which nobody may see."""
    height, width, channels = plane.shape
    if layout.tile is None:
        rows = layout.rows_per_strip or height
        return [plane[top : top + rows] for top in range(0, height, rows)]
    rows, columns = layout.tile
    shape = ceil(height / rows) * rows, ceil(width / columns) * columns, channels
    padded = np.resize(plane[::-1, ::-1], shape).astype(plane.dtype)
    padded[:height, :width] = plane
    return [
        padded[top : top + rows, left : left + columns]
        for top in range(0, height, rows)
        for left in range(0, width, columns)
    ]


def _pack(segment: NDArray[Any], bits: int, layout: Layout) -> bytes:
    if layout.predictor == 2:
        differences = np.diff(segment.view(f"u{segment.itemsize}"), axis=1, prepend=0)
        segment = differences.astype(f"u{segment.itemsize}")
    rows = pack_rows(segment, bits, layout.order)
    if layout.predictor == 3:
        rows = _difference_floats(segment)
    if layout.fill_order == 2 and layout.compression == 1:
        return rows.tobytes().translate(REVERSED)
    packed = compress(rows, layout.compression, segment.shape[1])
    return packed.translate(REVERSED) if layout.fill_order == 2 else packed


def pack_rows(segment: NDArray[Any], bits: int, order: Order) -> NDArray[np.uint8]:
    """Rows x bytes; each row begins with a byte of its own."""
    numbers = segment.reshape(len(segment), -1)
    if numbers.dtype.kind == "f" or bits in (8, 16, 32, 64):
        kind = numbers.dtype.kind if numbers.dtype.kind in "fi" else "u"
        values = numbers.astype(f"{order}{kind}{bits // 8}")
        return np.frombuffer(values.tobytes(), np.uint8).reshape(len(segment), -1)
    if bits == 24:
        wide = np.frombuffer(numbers.astype(f"{order}u4").tobytes(), np.uint8)
        three = slice(0, 3) if order == "<" else slice(1, 4)
        return wide.reshape(len(segment), -1, 4)[:, :, three].reshape(len(segment), -1)
    shifts = np.arange(bits - 1, -1, -1)
    spread = (numbers[:, :, np.newaxis].astype(np.int64) >> shifts & 1).astype(np.uint8)
    return np.packbits(spread.reshape(len(segment), -1), axis=1)


def _difference_floats(segment: NDArray[Any]) -> NDArray[np.uint8]:
    """Predictor 3: the highest bytes of a row first, then differences of bytes."""
    rows, _, channels = segment.shape
    size = segment.itemsize
    big = np.frombuffer(segment.astype(f">f{size}").tobytes(), np.uint8).reshape(rows, -1, size)
    planes = big.transpose(0, 2, 1).reshape(rows, -1, channels)
    return np.diff(planes, axis=1, prepend=np.uint8(0)).astype(np.uint8).reshape(rows, -1)


def compress(rows: NDArray[np.uint8], compression: int, width: int) -> bytes:
    data = rows.tobytes()
    match compression:
        case 1:
            return data
        case 5:
            return lzw(data)
        case 8 | 32946:
            return zlib.compress(data)
        case 32773:
            return b"".join(pack_bits(row.tobytes()) for row in rows)
        case _:
            return _by_libtiff(rows, compression, width)


def lzw(data: bytes) -> bytes:
    """Literal codes of nine bits; the table is cleared before codes would get longer."""
    codes = []
    for start in range(0, len(data), 250):
        codes += [256, *data[start : start + 250]]
    bits = "".join(f"{code:09b}" for code in [*codes, 257])
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")


def pack_bits(row: bytes) -> bytes:
    """Runs of two or more, and literals; a row is packed alone."""
    packed, at = b"", 0
    while at < len(row):
        run = 1
        while run < 128 and row[at : at + run + 1] == row[at : at + 1] * (run + 1):
            run += 1
        packed += bytes([257 - run, row[at]]) if run > 1 else bytes([0, row[at]])
        at += run
    return packed


def _by_libtiff(rows: NDArray[np.uint8], compression: int, width: int) -> bytes:
    """One strip of a file that Pillow writes."""
    fax = compression in (2, 3, 4)  # zero is a white run
    image = Image.fromarray(np.unpackbits(rows, axis=1, count=width) > 0 if fax else rows)
    stream = io.BytesIO()
    image.save(stream, "TIFF", compression=BY_LIBTIFF[compression], strip_size=2**24)
    stream.seek(0)
    with TiffImageFile(stream) as saved:
        (offset,), (length,) = saved.tag_v2[273], saved.tag_v2[279]
        return stream.getvalue()[offset : offset + length]
