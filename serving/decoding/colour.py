"""Convert pixels to RGB on white: images of any Pillow mode, and arrays with alpha.

An image is never copied as a whole: a copy of 50 megapixels takes 150 to 200 MB.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

WHITE = 255
DEEP_MODE, DEEP_WHITE = "I;16", 65_535
"""One channel of sixteen bits, which Pillow's own conversion clips to white."""

STRIP_PIXELS = 1_000_000


def to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """H x W x 3. Transparency is blended with white; CMYK is converted without its profile."""
    rgb = np.empty((image.height, image.width, 3), np.uint8)
    for top, strip in _split_into_strips(image):
        rows = rgb[top : top + strip.height]
        if image.mode == DEEP_MODE:
            levels = np.asarray(strip, np.float32) * np.float32(WHITE / DEEP_WHITE)
            rows[:] = np.rint(levels)[:, :, np.newaxis]
        else:
            rows[:] = np.asarray(_convert_strip(strip))
    return rgb


def blend_with_white(colours: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Colours as alpha shows them, 0 being white. The arrays broadcast; rounded to nearest."""
    wide = alpha.astype(np.uint16)
    return np.asarray((colours * wide + (WHITE - wide) * np.uint16(WHITE) + 127) // 255, np.uint8)


def _split_into_strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    height = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, height):
        yield top, image.crop((0, top, image.width, min(top + height, image.height)))


def _convert_strip(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        layer = image if image.mode == "RGBA" else image.convert("RGBA")
        white = Image.new("RGB", layer.size, "white")
        white.paste(layer, mask=layer.getchannel("A"))
        return white
    return image if image.mode == "RGB" else image.convert("RGB")
