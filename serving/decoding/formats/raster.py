"""What a format's module makes of a file."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.decoding.orientation import UPRIGHT


@dataclass(frozen=True, slots=True)
class Raster:
    """The pixels as they are stored, and what has to be done with them."""

    pixels: NDArray[np.uint8]
    """H x W x 3, RGB, or H x W x 4, inks that the profile converts; may be smaller than the file's
    `width` x `height`."""
    width: int
    height: int
    orientation: int = UPRIGHT
    profile: bytes = b""
    """The ICC profile; empty if the file has none."""
