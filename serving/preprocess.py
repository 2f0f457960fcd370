"""Preprocessing, shared by evaluation, endpoint, batch and quantisation."""

from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from domain.model import Preprocessing

Pixels = NDArray[np.uint8]
"""Cropped images: (…, crop, crop, 3), 0 to 255."""

Inputs = NDArray[np.float32]
"""A network's input: (images, 3, crop, crop), float32, normalised; channels last in memory."""

INTERPOLATIONS = {
    "nearest": cv2.INTER_NEAREST,
    "bilinear": cv2.INTER_LINEAR,
    "bicubic": cv2.INTER_CUBIC,
    "lanczos": cv2.INTER_LANCZOS4,
}

MIN_AREA_STEP = 2
"""If the image is reduced by more than this factor, pixels are averaged, to avoid aliasing."""

cv2.setNumThreads(1)  # images are distributed over the cores, not the rows of one image


def check(preprocessing: Preprocessing) -> None:
    """Raises ValueError if no image can be preprocessed with these numbers."""
    if not 1 <= preprocessing.crop <= preprocessing.resize <= 4096:
        raise ValueError("preprocessing needs 1 <= crop <= resize <= 4096")
    if len(preprocessing.mean) != 3 or len(preprocessing.std) != 3 or min(preprocessing.std) <= 0:
        raise ValueError("preprocessing needs three means and three positive deviations")
    if preprocessing.interpolation not in INTERPOLATIONS:
        raise ValueError(
            f"preprocessing has no interpolation called {preprocessing.interpolation!r}"
        )


def shorter_side(preprocessing: Preprocessing) -> int:
    """The resolution that a decoder must keep, in pixels of the image's shorter side."""
    return preprocessing.resize


def crop(image: Image.Image | Pixels, preprocessing: Preprocessing) -> Pixels:
    """Resize the shorter side to `resize`, and crop the centre. (H, W, 3) RGB to (crop, crop, 3).

    Only the centre is resized: a whole strip of 65535 x 1 pixels would become 4 gigapixels.
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
    """Sample every `step` pixels, at the middle of each step; exact for a fractional box."""
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
    """(images, crop, crop, 3) uint8 to the network's input, (images, 3, crop, crop) float32."""
    scale, offset = scale_and_offset(preprocessing)
    return (pixels * scale - offset).transpose(0, 3, 1, 2)


def scale_and_offset(
    preprocessing: Preprocessing,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scale and offset of each channel: a network's input is `pixel * scale - offset`.

    The card's means and deviations are for values from 0 to 1, pixels are from 0 to 255.
    """
    std = np.array(preprocessing.std, np.float32)
    mean = np.array(preprocessing.mean, np.float32)
    return (1 / (255 * std)).astype(np.float32), (mean / std).astype(np.float32)
