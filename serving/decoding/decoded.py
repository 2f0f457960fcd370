"""What every decoder makes of a file, and what is kept of that."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """Upright, and maybe smaller than the file's own `width` x `height`."""

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
    """All that is kept of an image once it is decoded: a crop of some 150 kB."""

    pixels: NDArray[np.uint8]
    """crop x crop x 3."""
    width: int
    height: int
    format: str
