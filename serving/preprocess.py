"""The one preprocessing: evaluation, endpoint, batch and quantisation all call it."""

from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from domain.model import Preprocessing

Pixels = NDArray[np.uint8]
"""Cropped images: (…, crop, crop, 3), 0 to 255."""

Inputs = NDArray[np.float32]
"""What a network takes: (images, 3, crop, crop), channels last in memory, normalised."""

INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}

MIN_AREA_STEP = 2
"""Beyond this many pixels a side for one, all of them are averaged: to skip some would alias."""

cv2.setNumThreads(1)  # images are spread over the cores, not the rows of one


def check(preprocessing: Preprocessing) -> None:
    """Raises ValueError for numbers that no image can be prepared by."""
    if not 1 <= preprocessing.crop <= preprocessing.resize <= 4096:
        raise ValueError("preprocessing needs 1 <= crop <= resize <= 4096")
    if len(preprocessing.mean) != 3 or len(preprocessing.std) != 3 or min(preprocessing.std) <= 0:
        raise ValueError("preprocessing needs three means and three positive deviations")
    if preprocessing.interpolation not in INTERPOLATIONS:
        raise ValueError(
            f"preprocessing has no interpolation called {preprocessing.interpolation!r}"
        )


def shorter_side(preprocessing: Preprocessing) -> int:
    """The detail a decoder must keep, in pixels of the image's shorter side."""
    return preprocessing.resize


def crop(image: Image.Image | Pixels, preprocessing: Preprocessing) -> Pixels:
    """RGB to (crop, crop, 3): the shorter side resized to `resize`, then the centre cropped.

    Both at once, by resizing only the centre: of a strip of 65535 x 1 pixels the whole would be
    4 gigapixels large.
    """
    pixels: Pixels = np.asarray(image)
    height, width, _ = pixels.shape
    side = min(height, width) * preprocessing.crop / preprocessing.resize
    top, left = (height - side) / 2, (width - side) / 2
    rows, columns = slice(int(top), ceil(top + side)), slice(int(left), ceil(left + side))
    square = pixels[rows, columns]
    if side > MIN_AREA_STEP * preprocessing.crop:
        return np.asarray(
            cv2.resize(
                square, (preprocessing.crop, preprocessing.crop), interpolation=cv2.INTER_AREA
            ),
            np.uint8,
        )
    return _sample(
        square, top - rows.start, left - columns.start, side / preprocessing.crop, preprocessing
    )


def _sample(
    square: Pixels, top: float, left: float, step: float, preprocessing: Preprocessing
) -> Pixels:
    """One sample every `step` pixels, in the middle of each: exact where the box is fractional."""
    middle = (step - 1) / 2
    inverse = np.array([[step, 0, left + middle], [0, step, top + middle]])
    flags = INTERPOLATIONS[preprocessing.interpolation] | cv2.WARP_INVERSE_MAP
    sampled = cv2.warpAffine(
        square,
        inverse,
        (preprocessing.crop, preprocessing.crop),
        flags=flags,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(sampled, np.uint8)


def normalise(pixels: Pixels, preprocessing: Preprocessing) -> Inputs:
    """(images, crop, crop, 3) to the network's input."""
    scale, offset = scale_and_offset(preprocessing)
    return (pixels * scale - offset).transpose(0, 3, 1, 2)


def scale_and_offset(
    preprocessing: Preprocessing,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of each channel: a network sees pixel * scale - offset.

    Mean and deviation are of values 0 to 1.
    """
    std = np.array(preprocessing.std, np.float32)
    mean = np.array(preprocessing.mean, np.float32)
    return (1 / (255 * std)).astype(np.float32), (mean / std).astype(np.float32)
