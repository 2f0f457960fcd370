"""Windows and OS/2 bitmaps: every header, depth, palette, mask and run."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from serving.decoding.bounds import check_size
from serving.decoding.colour import blend_with_white
from serving.decoding.formats.bmp_rle import decode_runs
from serving.decoding.formats.raster import Raster
from serving.decoding.undecodable import corrupt, truncated, unsupported

FILE_HEADER_BYTES, CORE_HEADER_BYTES, INFO_HEADER_BYTES = 14, 12, 40
OS2_HEADERS = (16, 64)
ALPHA_MASKS_BYTES, V5_BYTES = 56, 124
"""The first headers that have a mask for alpha, and a profile."""

RGB, RLE8, RLE4, BITFIELDS, ALPHA_BITFIELDS = 0, 1, 2, 3, 6
COMPRESSIONS = {
    4: "A BMP that holds a JPEG",
    5: "A BMP that holds a PNG",
    11: "A BMP of CMYK colours",
    12: "A BMP of CMYK colours",
    13: "A BMP of CMYK colours",
}
OS2_COMPRESSIONS = {3: "An OS/2 bitmap with fax compression", 4: "A 24-bit run-length OS/2 bitmap"}
PALETTE_BITS = (1, 2, 4, 8)
DEPTHS = {RGB: (1, 2, 4, 8, 16, 24, 32), RLE8: (8,), RLE4: (4,)}
DEPTHS |= {BITFIELDS: (16, 32), ALPHA_BITFIELDS: (16, 32)}
KINDS = {RGB: "", RLE8: "in runs of 8", RLE4: "in runs of 4"}
KINDS |= {BITFIELDS: "with colour masks", ALPHA_BITFIELDS: "with colour masks"}
DEFAULT_MASKS = {
    16: (0x7C00, 0x03E0, 0x001F, 0),
    32: (0xFF0000, 0xFF00, 0xFF, 0),
}
EMBEDDED_PROFILE = b"DEBM"
BLOCK_PIXELS = 500_000


@dataclass(frozen=True, slots=True)
class Header:
    body: bytes
    size: int
    """Of the header behind the file's header."""
    width: int
    height: int
    is_top_down: bool
    bits: int
    compression: int
    colours: int
    """How many colours the palette has; 0: all."""

    @property
    def end(self) -> int:
        """Where the palette begins: behind the header, and masks that are no part of it."""
        masks = {BITFIELDS: 12, ALPHA_BITFIELDS: 16}.get(self.compression, 0)
        return FILE_HEADER_BYTES + self.size + (masks if self.size == INFO_HEADER_BYTES else 0)

    @property
    def colour_bytes(self) -> int:
        """Of a colour of the palette."""
        return 3 if self.size == CORE_HEADER_BYTES else 4

    @property
    def row_bytes(self) -> int:
        return (self.width * self.bits + 31) // 32 * 4


def decode(body: bytes, max_pixels: int) -> Raster:
    """Raises UndecodableError if the variant is not supported, or the file is damaged."""
    header = _read_header(body)
    check_size(header.width, header.height, max_pixels)
    offset = _find_pixels(header)
    palette = _read_palette(header, offset) if header.bits in PALETTE_BITS else None
    rows = _read_rows(header, offset)
    pixels = np.empty((header.height, header.width, 3), np.uint8)
    upright = pixels if header.is_top_down else pixels[::-1]
    if palette is not None:
        for block, target in _blocks(rows, upright):
            target[:] = _look_up(_read_indexes(block, header), palette)
    elif header.bits == 24:
        for block, target in _blocks(rows, upright):
            bgr = block[:, : 3 * header.width].reshape(len(block), header.width, 3)
            target[:] = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    else:
        _place_masked(rows, upright, header)
    return Raster(pixels, header.width, header.height, profile=_read_profile(header))


def _read_header(body: bytes) -> Header:
    if len(body) < FILE_HEADER_BYTES + CORE_HEADER_BYTES:
        raise truncated("bmp")
    size = struct.unpack_from("<I", body, FILE_HEADER_BYTES)[0]
    fields = body[FILE_HEADER_BYTES : FILE_HEADER_BYTES + size]
    if len(fields) < size:
        raise truncated("bmp")
    compression, colours = RGB, 0
    if size == CORE_HEADER_BYTES:
        width, height, _, bits = struct.unpack_from("<HHHH", fields, 4)
    else:
        width, height, _, bits = struct.unpack_from("<iiHH", fields, 4)
    if size >= INFO_HEADER_BYTES:
        compression, _, _, _, colours = struct.unpack_from("<IIiiI", fields, 16)
    if width < 1 or height == 0:
        raise corrupt("bmp", f"it claims {width} x {height} pixels")
    header = Header(
        body, size, width, abs(height), height < 0, bits, compression, colours
    )  # fmt: skip
    _check_variant(header)
    return header


def _check_variant(header: Header) -> None:
    if header.size in OS2_HEADERS and header.compression in OS2_COMPRESSIONS:
        raise unsupported(OS2_COMPRESSIONS[header.compression])
    if header.compression not in DEPTHS:
        name = COMPRESSIONS.get(header.compression, f"A BMP of compression {header.compression}")
        raise unsupported(name)
    if header.bits not in DEPTHS[header.compression]:
        raise unsupported(f"A BMP of {header.bits} bits {KINDS[header.compression]}".rstrip())
    if header.compression in (RLE8, RLE4) and header.is_top_down:
        raise unsupported("A run-length BMP whose first row is at its top")


def _find_pixels(header: Header) -> int:
    """Where the pixels begin. Programs state nothing, or forget the palette: Pillow adds it too.

    Raises UndecodableError if they would begin within the header, or the colours that it counts.
    """
    offset: int = struct.unpack_from("<I", header.body, 10)[0]
    has_palette = header.bits in PALETTE_BITS
    if offset == 0 or (offset == header.end and has_palette):
        colours = (header.colours or 1 << header.bits) if has_palette else 0
        return header.end + colours * header.colour_bytes
    colours = min(header.colours, 1 << header.bits) if has_palette else 0
    if offset < header.end + colours * header.colour_bytes:
        raise corrupt("bmp", "its pixels begin within its header or its palette")
    return offset


def _read_palette(header: Header, offset: int) -> NDArray[np.uint8]:
    """Colours x 3, RGB: as many as the depth has, the header says, and are there."""
    start, size, most = header.end, header.colour_bytes, 1 << header.bits
    count = min(most, header.colours or most, (min(offset, len(header.body)) - start) // size)
    if count < 1:
        raise corrupt("bmp", "it has no palette")
    table = np.frombuffer(header.body, np.uint8, count * size, start).reshape(count, size)
    return np.ascontiguousarray(table[:, 2::-1])


def _read_rows(header: Header, offset: int) -> NDArray[np.uint8]:
    """Height x bytes, in the order of the file. Only the padding of the last row may be missing."""
    body = memoryview(header.body)[offset:]
    if header.compression in (RLE8, RLE4):
        indexes = decode_runs(body, header.width, header.height, header.bits)
        return np.frombuffer(indexes, np.uint8).reshape(header.height, header.width)
    size = header.height * header.row_bytes
    padding = header.row_bytes - (header.width * header.bits + 7) // 8
    if len(body) < size - padding:
        raise truncated("bmp")
    rows = body if len(body) >= size else body.tobytes().ljust(size, b"\0")
    return np.frombuffer(rows, np.uint8, size).reshape(header.height, header.row_bytes)


def _blocks(
    rows: NDArray[np.uint8], pixels: NDArray[np.uint8]
) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
    step = max(1, BLOCK_PIXELS // pixels.shape[1])
    for top in range(0, len(rows), step):
        yield rows[top : top + step], pixels[top : top + step]


def _read_indexes(rows: NDArray[np.uint8], header: Header) -> NDArray[np.uint8]:
    if header.bits == 8 or header.compression == RLE4:
        return rows[:, : header.width]
    spread = np.unpackbits(rows, axis=1, count=header.width * header.bits)
    if header.bits == 1:
        return spread
    numbers = spread.reshape(len(rows), header.width, header.bits)
    return np.asarray(numbers @ (1 << np.arange(header.bits)[::-1]).astype(np.uint8))


def _look_up(indexes: NDArray[np.uint8], palette: NDArray[np.uint8]) -> NDArray[np.uint8]:
    highest = int(indexes.max())
    if highest >= len(palette):
        raise corrupt("bmp", f"a pixel has colour {highest} of a palette of {len(palette)}")
    return np.take(palette, indexes, axis=0)


def _place_masked(rows: NDArray[np.uint8], pixels: NDArray[np.uint8], header: Header) -> None:
    """Pixels of 16 or 32 bits, each of which says by masks where its colours are."""
    masks = _read_masks(header)
    size = header.bits // 8
    numbers = rows[:, : header.width * size].view(f"<u{size}")
    is_transparent = masks[3] != 0 and any(
        (block & masks[3]).any() for block, _ in _blocks(numbers, pixels)
    )  # alpha that is nowhere is alpha that a program forgot to set
    for block, target in _blocks(numbers, pixels):
        colours = np.dstack([_scale(block, mask) for mask in masks[:3]])
        if is_transparent:
            colours = blend_with_white(colours, _scale(block, masks[3])[:, :, np.newaxis])
        target[:] = colours


def _read_masks(header: Header) -> tuple[int, int, int, int]:
    """Of red, green, blue and alpha; zero where there is none."""
    if header.compression == RGB:
        return DEFAULT_MASKS[header.bits]
    has_alpha = header.size >= ALPHA_MASKS_BYTES or header.compression == ALPHA_BITFIELDS
    count = 4 if has_alpha else 3
    place = FILE_HEADER_BYTES + INFO_HEADER_BYTES
    if len(header.body) < place + 4 * count:
        raise truncated("bmp")
    masks = struct.unpack_from(f"<{count}I", header.body, place) + (0,) * (4 - count)
    for mask in masks:
        lowest = mask & -mask
        if (mask + lowest) & mask or mask >> header.bits:
            raise unsupported(f"A BMP of {header.bits} bits with the mask {mask:#x}")
    if sum(masks) != masks[0] | masks[1] | masks[2] | masks[3]:
        raise unsupported("A BMP whose masks overlap")
    red, green, blue, alpha = masks
    return red, green, blue, alpha


def _scale(numbers: NDArray[np.unsignedinteger], mask: int) -> NDArray[np.uint8]:
    """The bits of a mask as 0 to 255; without any, 0."""
    if mask == 0:
        return np.zeros(numbers.shape, np.uint8)
    shift = (mask & -mask).bit_length() - 1
    top = mask >> shift
    if top == 255 and shift % 8 == 0:
        return numbers.view(np.uint8)[:, shift // 8 :: numbers.itemsize]
    values = (numbers & mask) >> shift
    if top.bit_length() > 8:
        return np.asarray(values >> (top.bit_length() - 8), np.uint8)
    table = np.array([round(value * 255 / top) for value in range(top + 1)], np.uint8)
    return np.asarray(table[values])


def _read_profile(header: Header) -> bytes:
    if header.size < V5_BYTES or header.body[70:74] != EMBEDDED_PROFILE:
        return b""
    offset, size = struct.unpack_from("<II", header.body, FILE_HEADER_BYTES + 112)
    return header.body[FILE_HEADER_BYTES + offset : FILE_HEADER_BYTES + offset + size]
