"""The results of decoding, and how far an image may be reduced for them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SCALE_FACTORS = (8, 4, 2)
"""The factors that Pillow uses too. libjpeg-turbo also supports 7/8 to 3/8, without SIMD code."""


def scale_factor(width: int, height: int, shorter_side: int) -> int:
    """By what an image may be divided to keep `shorter_side` pixels on its shorter side."""
    detail = min(width, height) // shorter_side
    return next((factor for factor in SCALE_FACTORS if factor <= detail), 1)


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An upright image. `pixels` may be smaller than the file's `width` x `height` (upright)."""

    pixels: NDArray[np.uint8]
    """H x W x 3, RGB."""
    width: int
    height: int
    format: str

    @property
    def image(self) -> Image.Image:
        return Image.fromarray(self.pixels)


@dataclass(frozen=True, slots=True)
class CroppedImage:
    """The preprocessed crop of an image (about 150 kB), with the image's `width` x `height`."""

    pixels: NDArray[np.uint8]
    """crop x crop x 3."""
    width: int
    height: int
    format: str
