"""The one preprocessing: evaluation, endpoint, batch and quantisation all call it."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from domain.model import Preprocessing

Pixels = NDArray[np.uint8]
"""Cropped images: (…, crop, crop, 3), 0 to 255."""

Inputs = NDArray[np.float32]
"""What a network takes: (images, 3, crop, crop), channels last in memory, normalised."""

DETAIL = 2
"""A JPEG is decoded at this many times `resize` at least: the filter does the last step down."""


def check(numbers: Preprocessing) -> None:
    """Raises ValueError for numbers that no image can be prepared by."""
    if not 1 <= numbers.crop <= numbers.resize <= 4096:
        raise ValueError("preprocessing needs 1 <= crop <= resize <= 4096")
    if len(numbers.mean) != 3 or len(numbers.std) != 3 or min(numbers.std) <= 0:
        raise ValueError("preprocessing needs three means and three positive deviations")
    if numbers.interpolation.upper() not in Image.Resampling.__members__:
        raise ValueError(f"preprocessing has no interpolation called {numbers.interpolation!r}")


def shorter_side(numbers: Preprocessing) -> int:
    """The detail a decoder must keep, in pixels of the image's shorter side."""
    return DETAIL * numbers.resize


def crop(image: Image.Image, numbers: Preprocessing) -> Pixels:
    """RGB to (crop, crop, 3): the shorter side resized to `resize`, then the centre cropped.

    Both at once, by resizing only the centre: of a strip of 65535 x 1 pixels the whole would be
    4 gigapixels large.
    """
    side = min(image.size) * numbers.crop / numbers.resize
    left, top = (image.width - side) / 2, (image.height - side) / 2
    resampling = Image.Resampling[numbers.interpolation.upper()]
    square = image.resize(
        (numbers.crop, numbers.crop), resampling, box=(left, top, left + side, top + side)
    )
    return np.asarray(square)


def normalise(pixels: Pixels, numbers: Preprocessing) -> Inputs:
    """(images, crop, crop, 3) to the network's input; mean and deviation are of values 0 to 1."""
    std = np.array(numbers.std, np.float32)
    scale = 1 / (255 * std)
    offset = np.array(numbers.mean, np.float32) / std
    return (pixels * scale - offset).transpose(0, 3, 1, 2)
