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

FEW = 2
"""Beyond this many pixels a side for one, all of them are averaged: to skip some would alias."""

cv2.setNumThreads(1)  # images are spread over the cores, not the rows of one


def check(numbers: Preprocessing) -> None:
    """Raises ValueError for numbers that no image can be prepared by."""
    if not 1 <= numbers.crop <= numbers.resize <= 4096:
        raise ValueError("preprocessing needs 1 <= crop <= resize <= 4096")
    if len(numbers.mean) != 3 or len(numbers.std) != 3 or min(numbers.std) <= 0:
        raise ValueError("preprocessing needs three means and three positive deviations")
    if numbers.interpolation not in INTERPOLATIONS:
        raise ValueError(f"preprocessing has no interpolation called {numbers.interpolation!r}")


def shorter_side(numbers: Preprocessing) -> int:
    """The detail a decoder must keep, in pixels of the image's shorter side."""
    return numbers.resize


def crop(image: Image.Image | Pixels, numbers: Preprocessing) -> Pixels:
    """RGB to (crop, crop, 3): the shorter side resized to `resize`, then the centre cropped.

    Both at once, by resizing only the centre: of a strip of 65535 x 1 pixels the whole would be
    4 gigapixels large.
    """
    pixels: Pixels = np.asarray(image)
    height, width, _ = pixels.shape
    side = min(height, width) * numbers.crop / numbers.resize
    top, left = (height - side) / 2, (width - side) / 2
    rows, columns = slice(int(top), ceil(top + side)), slice(int(left), ceil(left + side))
    square = pixels[rows, columns]
    if side > FEW * numbers.crop:
        return np.asarray(
            cv2.resize(square, (numbers.crop, numbers.crop), interpolation=cv2.INTER_AREA), np.uint8
        )
    return _sampled(square, top - rows.start, left - columns.start, side / numbers.crop, numbers)


def _sampled(
    square: Pixels, top: float, left: float, step: float, numbers: Preprocessing
) -> Pixels:
    """One sample every `step` pixels, in the middle of each: exact where the box is fractional."""
    middle = (step - 1) / 2
    back = np.array([[step, 0, left + middle], [0, step, top + middle]])
    flags = INTERPOLATIONS[numbers.interpolation] | cv2.WARP_INVERSE_MAP
    sampled = cv2.warpAffine(
        square, back, (numbers.crop, numbers.crop), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(sampled, np.uint8)


def normalise(pixels: Pixels, numbers: Preprocessing) -> Inputs:
    """(images, crop, crop, 3) to the network's input."""
    scale, offset = scale_and_offset(numbers)
    return (pixels * scale - offset).transpose(0, 3, 1, 2)


def scale_and_offset(numbers: Preprocessing) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of each channel: a network sees pixel * scale - offset.

    Mean and deviation are of values 0 to 1.
    """
    std = np.array(numbers.std, np.float32)
    mean = np.array(numbers.mean, np.float32)
    return (1 / (255 * std)).astype(np.float32), (mean / std).astype(np.float32)
