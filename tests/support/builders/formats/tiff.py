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
from PIL import Image, ImageChops
from PIL.TiffImagePlugin import TiffImageFile

SHORT, LONG, RATIONAL, FLOAT_TYPE, LONG8 = 3, 4, 5, 11, 16
LETTERS = {
    1: "B",
    2: "B",
    SHORT: "H",
    LONG: "I",
    RATIONAL: "I",
    7: "B",
    FLOAT_TYPE: "f",
    LONG8: "Q",
    99: "B",
}
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
    padding: float | None = None
    """The samples of tiles outside of the image; None: noise."""
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
    if first not in layout.tags:
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
    """Strips, or tiles with padding, which nobody may see."""
    height, width, channels = plane.shape
    if layout.tile is None:
        rows = layout.rows_per_strip or height
        return [plane[top : top + rows] for top in range(0, height, rows)]
    rows, columns = layout.tile
    shape = ceil(height / rows) * rows, ceil(width / columns) * columns, channels
    padded = np.resize(plane[::-1, ::-1], shape).astype(plane.dtype)
    if layout.padding is not None:
        padded[:] = layout.padding
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


def to_ycbcr(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB to Y, Cb and Cr, as JPEG has them."""
    red, green, blue = np.moveaxis(pixels.astype(float), 2, 0)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = (blue - luma) / 1.772 + 128, (red - luma) / 1.402 + 128
    return np.asarray(np.clip(np.rint(np.dstack([luma, *chroma])), 0, 255), np.uint8)


def to_lab(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """sRGB to L*a*b* of the white D50, a and b with an offset of 128."""
    linear = np.where(pixels <= 10, pixels / 255 / 12.92, ((pixels / 255 + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169],
         [0.0139322, 0.0971045, 0.7141733]]
    )  # fmt: skip
    x, y, z = np.moveaxis(linear @ to_xyz.T / np.array([0.9642, 1, 0.8249]), 2, 0)
    fx, fy, fz = (np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116) for t in (x, y, z))
    lab = np.dstack([(116 * fy - 16) * 2.55, 500 * (fx - fy) + 128, 200 * (fy - fz) + 128])
    return np.asarray(np.clip(np.rint(lab), 0, 255), np.uint8)


def write_ycbcr(samples: NDArray[np.uint8], subsampling: tuple[int, int], layout: Layout) -> bytes:
    """Units of luma values and two chroma values, of their first pixel."""
    height, width, _ = samples.shape
    across, down = subsampling
    segments = []
    for segment in _split(samples, layout):
        rows, columns, _ = segment.shape
        padding = (0, -rows % down), (0, -columns % across), (0, 0)
        padded = np.pad(segment, padding, mode="edge")
        units = padded.reshape(padded.shape[0] // down, down, -1, across, 3).transpose(
            0, 2, 1, 3, 4
        )
        luma = units[..., 0].reshape(*units.shape[:2], -1)
        packed = np.concatenate([luma, units[:, :, 0, 0, 1:]], axis=2)
        segments.append(compress(packed.reshape(len(units), -1), layout.compression, columns))
    tags: Tags = {
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, [8, 8, 8]),
        259: (SHORT, [layout.compression]),
        262: (SHORT, [6]),
        277: (SHORT, [3]),
        530: (SHORT, list(subsampling)),
    }
    if layout.tile:
        tags |= {322: (LONG, [layout.tile[1]]), 323: (LONG, [layout.tile[0]])}
    else:
        tags[278] = LONG, [layout.rows_per_strip or height]
    return join(tags, segments, layout)


def write_jpeg(
    samples: NDArray[np.uint8], photometric: int, layout: Layout, has_tables: bool
) -> bytes:
    """Each strip or tile is a JPEG; its tables may be in a tag of their own."""
    height, width, channels = samples.shape
    planes = np.split(samples, channels, axis=2) if layout.is_planar else [samples]
    streams = [
        _jpeg(segment, photometric == 6) for plane in planes for segment in _split(plane, layout)
    ]
    tags: Tags = {
        256: (LONG, [width]),
        257: (LONG, [height]),
        258: (SHORT, [8] * channels),
        259: (SHORT, [7]),
        262: (SHORT, [photometric]),
        277: (SHORT, [channels]),
        284: (SHORT, [2 if layout.is_planar else 1]),
    }
    if layout.tile:
        tags |= {322: (LONG, [layout.tile[1]]), 323: (LONG, [layout.tile[0]])}
    else:
        tags[278] = LONG, [layout.rows_per_strip or height]
    if has_tables:
        tables = b"".join(part for part in _segments(streams[0]) if part[1] in (0xDB, 0xC4))
        tags[347] = 7, list(b"\xff\xd8" + tables + b"\xff\xd9")
        streams = [
            b"".join(part for part in _segments(stream) if part[1] not in (0xDB, 0xC4))
            for stream in streams
        ]
    return join(tags, streams, layout)


def _jpeg(segment: NDArray[np.uint8], is_ycbcr: bool) -> bytes:
    """Without JFIF's and Adobe's markers, which say what the colours are."""
    channels = segment.shape[2]
    image = Image.fromarray(
        segment[:, :, 0] if channels == 1 else segment, {1: "L", 3: "RGB", 4: "CMYK"}[channels]
    )
    if channels == 4:  # Pillow inverts them
        image = ImageChops.invert(image)
    stream = io.BytesIO()
    options = {"keep_rgb": True} if channels == 3 and not is_ycbcr else {}
    image.save(stream, "JPEG", quality=100, **options)
    return b"".join(part for part in _segments(stream.getvalue()) if part[1] not in (0xE0, 0xEE))


def _segments(stream: bytes) -> list[bytes]:
    """The segments of a JPEG; the last one holds the scan and all behind it."""
    parts, at = [stream[:2]], 2
    while stream[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(stream[at + 2 : at + 4], "big")
        parts.append(stream[at:end])
        at = end
    return [*parts, stream[at:]]


def write_pages(pages: list[tuple[NDArray[np.uint8], int]]) -> bytes:
    """RGB images, each with its NewSubfileType, in a chain of directories."""
    body = b"II*\0" + struct.pack("<I", 8)
    for index, (pixels, kind) in enumerate(pages):
        height, width, _ = pixels.shape
        start = len(body) + 2 + 12 * 10 + 4 + 6
        tags = {
            254: kind, 256: width, 257: height, 258: start - 6, 259: 1, 262: 2, 273: start,
            277: 3, 278: height, 279: pixels.nbytes,
        }  # fmt: skip
        body += struct.pack("<H", len(tags))
        for number, value in tags.items():
            counted = (LONG, 1) if number != 258 else (SHORT, 3)
            body += struct.pack("<HHII", number, *counted, value)
        size = start + pixels.nbytes
        body += struct.pack("<I", size if index < len(pages) - 1 else 0)
        body += struct.pack("<HHH", 8, 8, 8) + pixels.tobytes()
    return body
