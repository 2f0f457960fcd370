"""The EXIF orientation of an image: how it is read, and how pixels are turned upright."""

from collections.abc import Callable
from struct import error as StructError
from zlib import error as ZlibError

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image

UPRIGHT = 1
SIDEWAYS = (5, 6, 7, 8)
"""Orientations that exchange width and height."""

EXIF_ERRORS = (
    ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError,
    SyntaxError, TypeError, ValueError, StructError, ZlibError,
)  # fmt: skip
"""The errors that Pillow raises for malformed metadata."""


def read(load: Callable[[], Image.Exif]) -> int:
    """The orientation in the metadata that `load` returns; UPRIGHT if it is absent or malformed.

    Malformed metadata does not make the pixels invalid, so that no error is raised.
    """
    try:
        orientation = load().get(ExifTags.Base.Orientation, UPRIGHT)
    except EXIF_ERRORS:
        return UPRIGHT
    return orientation if isinstance(orientation, int) else UPRIGHT


def upright_size(width: int, height: int, orientation: int) -> tuple[int, int]:
    """Width and height after `turn`."""
    return (height, width) if orientation in SIDEWAYS else (width, height)


def turn(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn (H, W, 3) upright; orientations other than 2 to 8 do nothing."""
    match orientation:
        case 2:
            turned = pixels[:, ::-1]
        case 3:
            turned = pixels[::-1, ::-1]
        case 4:
            turned = pixels[::-1]
        case 5:
            turned = pixels.swapaxes(0, 1)
        case 6:
            turned = pixels[::-1].swapaxes(0, 1)
        case 7:
            turned = pixels[::-1, ::-1].swapaxes(0, 1)
        case 8:
            turned = pixels[:, ::-1].swapaxes(0, 1)
        case _:
            return pixels
    return np.ascontiguousarray(turned)
