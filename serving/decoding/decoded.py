"""The results of decoding."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image


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
