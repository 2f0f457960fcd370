"""Convert images of any Pillow mode to RGB, strip by strip.

The image is never copied as a whole: a copy of 50 megapixels takes 150 to 200 MB.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DEEP_MODES = frozenset(("I", "F", "I;16", "I;16B", "I;16L", "I;16N"))
"""One channel of more than eight bits, which Pillow's own conversion clips to white."""

WHITE_LEVELS = (255.0, 65_535.0)
"""The assumed white of modes that do not define it: of eight or of sixteen bits."""

STRIP_PIXELS = 1_000_000


def to_rgb(image: Image.Image) -> NDArray[np.uint8]:
    """H x W x 3. Transparency is blended with white; CMYK is converted without its profile."""
    deep = image.mode in DEEP_MODES
    black, white = _black_and_white(image) if deep else (0.0, 0.0)
    rgb = np.empty((image.height, image.width, 3), np.uint8)
    for top, strip in _split_into_strips(image):
        rows = rgb[top : top + strip.height]
        if deep:
            rows[:] = _scale_to_uint8(np.asarray(strip), black, white)[:, :, np.newaxis]
        else:
            rows[:] = np.asarray(_convert_strip(strip))
    return rgb


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


def _scale_to_uint8(values: NDArray[np.generic], black: float, white: float) -> NDArray[np.uint8]:
    levels = _to_finite_float32(values)
    with np.errstate(all="ignore"):  # floats of 1e38 may overflow and become black, harmlessly
        levels -= black
        levels *= 255 / ((white - black) or 1)
        np.rint(levels, out=levels)
        return levels.astype(np.uint8)


def _to_finite_float32(values: NDArray[np.generic]) -> NDArray[np.float32]:
    levels = values.astype(np.float32)
    return np.nan_to_num(levels, copy=False, posinf=0.0, neginf=0.0)


def _black_and_white(image: Image.Image) -> tuple[float, float]:
    """The values of black and white: the smallest usual range that fits, else the extremes."""
    if image.mode.startswith("I;16"):
        return 0.0, 65_535.0
    extremes = [
        (float(levels.min()), float(levels.max()))
        for levels in (
            _to_finite_float32(np.asarray(strip)) for _, strip in _split_into_strips(image)
        )
    ]
    low, high = min(low for low, _ in extremes), max(high for _, high in extremes)
    whites = (1.0, *WHITE_LEVELS) if image.mode == "F" else WHITE_LEVELS
    white = next((white for white in whites if low >= 0 and high <= white), None)
    return (low, high) if white is None else (0.0, white)
