"""From every mode Pillow knows to RGB, each on purpose."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DEEP_MODES = frozenset(("I", "F", "I;16", "I;16B", "I;16L", "I;16N"))
"""One channel of more than eight bits, which Pillow's own conversion clips to white."""

WHITES = (255.0, 65_535.0)
"""White, where the file does not say: of eight or of sixteen bits."""


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
    layer = image if image.mode == "RGBA" else image.convert("RGBA")
    white = Image.new("RGB", layer.size, "white")
    white.paste(layer, mask=layer.getchannel("A"))
    return white


def _eight_bits(values: NDArray[np.generic], mode: str) -> NDArray[np.uint8]:
    """One copy, changed in place: it takes four bytes a pixel."""
    levels = values.astype(np.float32)
    np.nan_to_num(levels, copy=False, posinf=0.0, neginf=0.0)
    black, white = _range(levels, mode)
    with np.errstate(all="ignore"):  # floats of 1e38 may overflow; that they are black is harmless
        levels -= black
        levels *= 255 / ((white - black) or 1)
        np.rint(levels, out=levels)
        return levels.astype(np.uint8)


def _range(levels: NDArray[np.float32], mode: str) -> tuple[float, float]:
    """The values that are black and white: the narrowest usual range, else what there is."""
    if mode.startswith("I;16"):
        return 0.0, 65_535.0
    low, high = float(levels.min()), float(levels.max())
    whites = (1.0, *WHITES) if mode == "F" else WHITES
    white = next((white for white in whites if low >= 0 and high <= white), None)
    return (low, high) if white is None else (0.0, white)
