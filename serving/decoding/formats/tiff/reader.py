"""Decode a TIFF: its first image, block by block."""

from collections.abc import Iterator
from math import ceil

import numpy as np

from serving.decoding import bounds
from serving.decoding.formats.raster import Raster
from serving.decoding.formats.tiff.directory import read_directory
from serving.decoding.formats.tiff.layout import (
    CCITT,
    FLOAT,
    JPEG,
    Layout,
    Photometric,
    read_layout,
)
from serving.decoding.formats.tiff.photometric import blend, read_palette, to_rgb
from serving.decoding.formats.tiff.samples import Values, read_values, to_levels
from serving.decoding.formats.tiff.unpack import count_rows, split_into_batches, unpack
from serving.decoding.formats.tiff.white import find_white
from serving.decoding.orientation import UPRIGHT
from serving.decoding.profiles import icc, srgb

BLOCK_PIXELS = 250_000
"""So many pixels are converted at once; a few arrays of them fit into memory, if not the cache."""

Area = tuple[slice, slice]
"""Rows and columns."""

PROFILELESS = (Photometric.CMYK, Photometric.CIE_LAB, Photometric.ICC_LAB)
"""Their colours become sRGB here, unless they are inks with a profile of inks."""


def decode(body: bytes, max_pixels: int) -> Raster:
    """Raises UndecodableError if the variant is not supported, or the file is damaged."""
    directory = read_directory(body)
    layout = read_layout(directory)
    bounds.check_size(layout.width, layout.height, max_pixels)
    samples, white, palette = layout.samples, None, None
    if samples.photometric == Photometric.PALETTE:
        palette = read_palette(directory, samples.bits)
    elif samples.format == FLOAT or samples.bits == 32:
        white = find_white(_read_visible(layout), samples)
    bits = 8 if layout.compression in (JPEG, *CCITT) else samples.bits
    profile = directory.content(34675, icc.MAX_BYTES)
    is_inks = samples.photometric == Photometric.CMYK and srgb.converts_inks(profile)
    pixels = np.empty((layout.height, layout.width, 4 if is_inks else 3), np.uint8)
    for batch, start, values in _read_blocks(layout):
        if palette is None:
            levels = to_levels(values, bits, white)
            colours = levels[:, :, :4] if is_inks else to_rgb(levels, layout)
        else:
            colours = np.take(palette, values[:, :, 0], axis=0)
            levels = to_levels(values, bits, None) if samples.alpha != "none" else colours
        shown = blend(colours, levels, samples)
        for target, source in _find_parts(layout, batch, start, len(shown)):
            pixels[target] = shown[source]
    if samples.photometric in PROFILELESS and not is_inks:
        profile = b""
    turned = directory.hint(274, UPRIGHT)
    return Raster(pixels, layout.width, layout.height, turned, profile)


def _read_blocks(layout: Layout) -> Iterator[tuple[range, int, Values]]:
    """Values of rows of some tiles, which lie one below the other: tiles, first row, values."""
    down = layout.subsampling[1]
    step = max(1, BLOCK_PIXELS // layout.tile_width // down) * down
    for batch in split_into_batches(layout):
        planes = [unpack(layout, batch, plane) for plane in range(layout.planes)]
        total = count_rows(layout, batch)
        for start in range(0, total, step):
            stop = min(start + step, total)
            blocks = []
            for read in planes:
                rows = read(start // down, ceil(stop / down))
                values = rows if rows.ndim == 3 else read_values(rows, layout)
                blocks.append(values[: stop - start])
            yield batch, start, blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=2)


def _read_visible(layout: Layout) -> Iterator[Values]:
    """Pixels x channels, without the padding of tiles, which may hold any number."""
    for batch, start, values in _read_blocks(layout):
        parts = _find_parts(layout, batch, start, len(values))
        yield np.concatenate([values[source].reshape(-1, values.shape[2]) for _, source in parts])


def _find_parts(layout: Layout, batch: range, start: int, rows: int) -> Iterator[tuple[Area, Area]]:
    """For the rows of each tile: their place in the image, and in the block, without padding."""
    tile_height, stop = layout.tile_height, start + rows
    for index in range(start // tile_height, ceil(stop / tile_height)):
        row, column = divmod(batch[index], layout.across)
        first, last = max(start, index * tile_height), min(stop, (index + 1) * tile_height)
        top, left = row * tile_height + first - index * tile_height, column * layout.tile_width
        height = max(0, min(last - first, layout.height - top))
        width = min(layout.tile_width, layout.width - left)
        target = slice(top, top + height), slice(left, left + width)
        source = slice(first - start, first - start + height), slice(0, width)
        yield target, source
