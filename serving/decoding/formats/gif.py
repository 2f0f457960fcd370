"""GIF: Pillow unpacks the indices of the first frame; palette and canvas are applied here.

What the frame does not cover, and its transparent index, are white, as everything transparent is.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving.decoding import bounds
from serving.decoding.colour import WHITE, to_rgb
from serving.decoding.formats.pieces import open_pieces
from serving.decoding.formats.raster import Raster
from serving.decoding.undecodable import unsupported

EXTENSION, FRAME = 0x21, 0x2C
GRAPHIC_CONTROL = 0xF9
HEAD_BYTES, FRAME_BYTES = 13, 10
HAS_PALETTE, INTERLACED, HAS_TRANSPARENCY = 0x80, 0x40, 0x01

MAX_BLOCKS = 100_000
"""The most blocks before the first frame. Passing over one takes less than a microsecond."""

GREY_RAMP = bytes(level for level in range(256) for _ in range(3))
"""With this palette, Pillow's values are the indices."""


@dataclass(frozen=True, slots=True)
class _GifFrame:
    at: int
    """The position of its descriptor."""
    transparent: int | None


def decode(body: bytes, max_pixels: int) -> Raster:
    """Raises UndecodableError, or an error of the decoder."""
    frame = _find_frame(body)
    left, top, width, height = (
        int.from_bytes(body[at : at + 2], "little") for at in range(frame.at + 1, frame.at + 9, 2)
    )
    flags = body[frame.at + 9]
    canvas_width = max(int.from_bytes(body[6:8], "little"), left + width)
    canvas_height = max(int.from_bytes(body[8:10], "little"), top + height)
    bounds.check_size(canvas_width, canvas_height, max_pixels)
    palette_at, data_at = frame.at + FRAME_BYTES, frame.at + FRAME_BYTES + _palette_bytes(flags)
    palette = body[palette_at:data_at] if flags & HAS_PALETTE else _global_palette(body)
    if not palette:
        raise unsupported("A GIF without a palette")
    size = width.to_bytes(2, "little") + height.to_bytes(2, "little")
    head = b"GIF89a" + size + bytes((HAS_PALETTE | 7, 0, 0)) + GREY_RAMP
    descriptor = bytes((FRAME, 0, 0, 0, 0)) + size + bytes((flags & INTERLACED,))
    image = Image.open(
        open_pieces((head, descriptor, memoryview(body)[data_at:])), formats=("GIF",)
    )
    image.load()
    image.putpalette(_table(palette, frame.transparent).tobytes())
    pixels = to_rgb(image)
    if (canvas_width, canvas_height) != (width, height):
        canvas = np.full((canvas_height, canvas_width, 3), WHITE, np.uint8)
        canvas[top : top + height, left : left + width] = pixels
        pixels = canvas
    return Raster(pixels, canvas_width, canvas_height)


def _find_frame(body: bytes) -> _GifFrame:
    """Raises EOFError if the file ends before its first frame, ValueError if it has none."""
    at = HEAD_BYTES + _palette_bytes(body[10])
    transparent: int | None = None
    inside = False
    for _ in range(MAX_BLOCKS):
        if at + FRAME_BYTES > len(body):
            raise EOFError
        if inside:  # a part of an extension; an empty one ends it
            inside = body[at] != 0
            at += 1 + body[at]
        elif body[at] == FRAME:
            return _GifFrame(at, transparent)
        elif body[at] == EXTENSION:
            if body[at + 1 : at + 3] == bytes((GRAPHIC_CONTROL, 4)):
                transparent = body[at + 6] if body[at + 3] & HAS_TRANSPARENCY else None
            at, inside = at + 2, True
        elif body[at] == 0:  # some programs write one empty part too many
            at += 1
        else:
            raise ValueError("no frame")
    raise bounds.too_expensive(f"more than {MAX_BLOCKS:,} blocks come before its first frame")


def _palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & HAS_PALETTE else 0


def _global_palette(body: bytes) -> bytes:
    return body[HEAD_BYTES : HEAD_BYTES + _palette_bytes(body[10])]


def _table(palette: bytes, transparent: int | None) -> NDArray[np.uint8]:
    """256 colours. Indices beyond the palette are black, as in browsers."""
    table = np.zeros((256, 3), np.uint8)
    colours = np.frombuffer(palette, np.uint8).reshape(-1, 3)
    table[: len(colours)] = colours
    if transparent is not None:
        table[transparent] = WHITE
    return table
