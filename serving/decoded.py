"""What every decoder makes of a file."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image


@dataclass(frozen=True, slots=True)
class Decoded:
    """Upright, and maybe smaller than the file's own `width` x `height`."""

    pixels: NDArray[np.uint8]
    """H x W x 3, RGB."""
    width: int
    height: int
    format: str

    @property
    def image(self) -> Image.Image:
        return Image.fromarray(self.pixels)
