"""From every mode Pillow knows to RGB, each on purpose."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DEEP_MODES = frozenset(("I", "F", "I;16", "I;16B", "I;16L", "I;16N"))
"""One channel of more than eight bits, which Pillow's own conversion clips to white."""

RANGES = (255.0, 65_535.0)
"""White, where the file does not say: eight or sixteen bits."""


def to_rgb(image: Image.Image) -> Image.Image:
    """Transparent pixels are laid over white; CMYK is converted without its colour profile."""
    if image.mode in DEEP_MODES:
        return Image.fromarray(_eight_bits(np.asarray(image), image.mode)).convert("RGB")
    if image.has_transparency_data:
        return _over_white(image)
    if image.mode == "RGB":
        return image
    return image.convert("RGB")


def _over_white(image: Image.Image) -> Image.Image:
    layer = image.convert("RGBA")
    white = Image.new("RGB", layer.size, "white")
    white.paste(layer, mask=layer.getchannel("A"))
    return white


def _eight_bits(values: NDArray[np.generic], mode: str) -> NDArray[np.uint8]:
    if mode.startswith("I;16"):
        return _rounded(values.astype(np.float32) / np.float32(257))
    levels = np.nan_to_num(values.astype(np.float32), posinf=0.0, neginf=0.0)
    low, high = float(levels.min()), float(levels.max())
    whites = (1.0, *RANGES) if mode == "F" else RANGES
    white = next((white for white in whites if low >= 0 and high <= white), None)
    if white is None:  # no known range: the darkest value is black, the brightest white
        levels, white = levels - low, high - low
    return _rounded(levels * np.float32(255.0 / white))


def _rounded(levels: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.rint(levels).astype(np.uint8)
