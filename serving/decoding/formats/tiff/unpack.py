"""Unpack strips and tiles, some at a time.

libtiff unpacks, in Pillow, and decides nothing else: it gets a TIFF made here, whose one channel of
bytes is what the strips unpack to. CCITT and JPEG know pixels, so that they get those.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL.TiffImagePlugin import TiffImageFile

from serving.decoding.formats.tiff.layout import CCITT, JPEG, NOT_COMPRESSED, Layout, Photometric
from serving.decoding.undecodable import corrupt, truncated

BATCH_BYTES = 2 * 2**20
"""So many bytes are unpacked at once, or one strip or tile: little enough for the cache."""

MAX_TABLES_BYTES = 65_536
MAX_EXPANSION_FACTOR, MAX_EXPANSION_BYTES = 8, 65_536
"""No codec makes strips longer than eight times their pixels, and a header."""

JPEG_SCAN, JPEG_END = b"\xff\xda", b"\xff\xd9"

REVERSED_BITS = np.packbits(
    np.unpackbits(np.arange(256, dtype=np.uint8)[:, np.newaxis], axis=1)[:, ::-1], axis=1
)[:, 0]

SHORT, LONG, BYTES = 3, 4, 7
TYPE_LETTERS = {SHORT: "H", LONG: "I", BYTES: "B"}

Rows = Callable[[int, int], NDArray[np.uint8]]
"""Rows from one index to another (exclusive): rows x bytes; for CCITT and JPEG, rows x columns x
channels of 0 to 255."""


def split_into_batches(layout: Layout) -> Iterator[range]:
    """Indexes of tiles of one plane. Only the last strip may be shorter than the others."""
    tiles = layout.across * layout.down
    count = max(1, BATCH_BYTES // max(1, layout.tile_bytes * layout.planes))
    for first in range(0, tiles, count):
        yield range(first, min(first + count, tiles))


def count_rows(layout: Layout, batch: range) -> int:
    """Rows of pixels of a batch's tiles, one below the other."""
    rows = len(batch) * layout.tile_height
    if layout.is_tiled:
        return rows
    return min(rows, layout.height - batch.start * layout.tile_height)


def unpack(layout: Layout, batch: range, plane: int) -> Rows:
    """Raises UndecodableError if the tiles are damaged, or not whole."""
    first = plane * layout.across * layout.down
    tiles = range(first + batch.start, first + batch.stop)
    rows = ceil(count_rows(layout, batch) / layout.subsampling[1])
    if layout.compression != NOT_COMPRESSED:
        return _unpack_compressed(layout, _packed_tiles(layout, tiles), rows)
    parts = _plain_tiles(layout, tiles, rows)
    packed = parts[0] if len(parts) == 1 else b"".join(parts)
    values = np.frombuffer(packed, np.uint8).reshape(rows, layout.row_bytes)
    if layout.is_reversed:
        return lambda start, stop: REVERSED_BITS[values[start:stop]]
    return lambda start, stop: values[start:stop]


def _plain_tiles(layout: Layout, tiles: range, rows: int) -> list[memoryview]:
    """Tiles that are not compressed: exactly their size, whatever their counts say beyond it."""
    body = memoryview(layout.directory.body)
    offsets = layout.offsets[tiles.start : tiles.stop].tolist()
    counts = layout.counts[tiles.start : tiles.stop].tolist() or [len(body)] * len(tiles)
    parts, left = [], rows * layout.row_bytes
    for offset, count in zip(offsets, counts, strict=True):
        size = min(left, layout.tile_bytes)
        if count < size or offset + size > len(body):
            raise truncated("tiff")
        parts.append(body[offset : offset + size])
        left -= size
    return parts


def _packed_tiles(layout: Layout, tiles: range) -> list[memoryview]:
    body = layout.directory.body
    offsets = layout.offsets[tiles.start : tiles.stop].tolist()
    counts = layout.counts[tiles.start : tiles.stop].tolist() or [len(body)] * len(tiles)
    most = MAX_EXPANSION_FACTOR * layout.tile_bytes + MAX_EXPANSION_BYTES
    # Of these libtiff shows what there is and makes up the rest; the other codecs know their end.
    is_shown = layout.compression in (JPEG, *CCITT) and layout.counts.size
    parts = list(zip(offsets, counts, strict=True))
    if is_shown and any(offset + count > len(body) for offset, count in parts):
        raise truncated("tiff")
    if any(offset >= len(body) for offset in offsets):
        raise truncated("tiff")
    if layout.compression == JPEG and not all(_has_end(body, *part) for part in parts):
        raise truncated("tiff")
    view = memoryview(body)
    return [view[offset : offset + min(count, most)] for offset, count in parts]


def _has_end(body: bytes, offset: int, count: int) -> bool:
    """Whether a JPEG has an end marker behind its last scan, whose data cannot hold one."""
    end = body.rfind(JPEG_END, offset, offset + count)
    return end >= 0 and body.find(JPEG_SCAN, end, offset + count) < 0


def _unpack_compressed(layout: Layout, parts: Sequence[memoryview], rows: int) -> Rows:
    try:
        image = TiffImageFile(BytesIO(_write_tiff(layout, parts, rows)))
        image.load()
    except (OSError, SyntaxError) as error:
        raise corrupt("tiff", "one of its strips or tiles cannot be unpacked") from error

    def read_rows(start: int, stop: int) -> NDArray[np.uint8]:
        block = image.crop((0, start, image.width, stop))
        values = np.asarray(block.convert("L") if block.mode == "1" else block)
        if layout.compression in (JPEG, *CCITT):
            return values.reshape(stop - start, image.width, -1)
        return values

    return read_rows


def _write_tiff(layout: Layout, parts: Sequence[memoryview], rows: int) -> bytes:
    """A TIFF of these strips, for libtiff to unpack."""
    directory = layout.directory
    lengths = [len(part) for part in parts]
    channels = 1 if layout.is_planar else layout.samples.count
    tags: dict[int, tuple[int, Sequence[int]]] = {
        256: (LONG, [layout.tile_width]),
        257: (LONG, [rows]),
        258: (SHORT, [8]),
        259: (SHORT, [layout.compression]),
        262: (SHORT, [Photometric.BLACK_IS_ZERO]),
        266: (SHORT, [2 if layout.is_reversed else 1]),
        273: (LONG, lengths),
        277: (SHORT, [1]),
        278: (LONG, [ceil(layout.tile_height / layout.subsampling[1])]),
        279: (LONG, lengths),
    }
    if layout.compression in CCITT:
        tags[258] = SHORT, [1]
        tags |= {option: (LONG, [directory.integer(option, 0)]) for option in (292, 293)}
    elif layout.compression == JPEG:
        photometric = {1: Photometric.BLACK_IS_ZERO, 3: Photometric.RGB, 4: Photometric.CMYK}[
            channels
        ]
        if layout.samples.photometric == Photometric.YCBCR:
            photometric = Photometric.YCBCR
        tags |= {
            258: (SHORT, [8] * channels),
            262: (SHORT, [photometric]),
            277: (SHORT, [channels]),
        }
        if tables := directory.content(347, MAX_TABLES_BYTES):
            tags[347] = BYTES, tables
    else:
        tags[256] = LONG, [layout.row_bytes]
    return _join_tiff(tags, parts)


def _join_tiff(tags: dict[int, tuple[int, Sequence[int]]], parts: Sequence[memoryview]) -> bytes:
    """A file of one directory, the values that do not fit into it, and strips."""
    values = {
        number: struct.pack(f"<{len(numbers)}{TYPE_LETTERS[kind]}", *numbers)
        for number, (kind, numbers) in tags.items()
    }
    at = 8 + 2 + 12 * len(tags) + 4
    start = at + sum(len(value) for value in values.values() if len(value) > 4)
    lengths = np.array(tags[279][1], np.int64)
    offsets = start + np.cumsum(lengths) - lengths
    values[273] = offsets.astype("<u4").tobytes()
    entries, outside = [], []
    for number, value in sorted(values.items()):
        kind, numbers = tags[number]
        if len(value) > 4:
            outside.append(value)
            value, at = struct.pack("<I", at), at + len(value)
        entries.append(struct.pack("<HHI", number, kind, len(numbers)) + value.ljust(4, b"\0"))
    head = b"II*\0" + struct.pack("<IH", 8, len(tags))
    return b"".join([head, *entries, bytes(4), *outside, *parts])
