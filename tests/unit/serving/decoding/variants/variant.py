"""One way in which a format stores a picture, and what the server has to see in the file.

Each module beside this one lists the variants of one format: `VARIANTS`. Their pictures are small,
and their files are written by writers of our own (`tests.support.builders.formats`), because a
library's writer shares the errors of its reader.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from serving.decoding.decode import decode
from serving.decoding.sniff import Format
from serving.decoding.undecodable import Code, UndecodableError

MAX_PIXELS = 50_000_000
WHOLE_SIDE_PIXELS = 65_536
"""No variant has so many pixels on a side, so that none is decoded at a reduced size."""

Pixels = NDArray[np.uint8]
"""H x W x 3, RGB, upright."""


@dataclass(frozen=True, slots=True, eq=False)
class Variant:
    """`family` is a row of the documented table; `family` and `name` together are unique."""

    format: Format
    family: str
    """What the variants of a row have in common: "palette"."""
    name: str
    """What distinguishes this one: "4 bits, 8-bit colour map, big-endian"."""
    write: Callable[[], bytes]
    """Makes the file."""
    expected: Pixels | Code
    """The pixels, or the code of the rejection."""
    tolerance: int = 0
    """The largest difference of a value of a pixel, for lossy formats and rounding."""

    def __str__(self) -> str:
        return f"{self.format}, {self.family}, {self.name}"

    @property
    def is_refused(self) -> bool:
        return isinstance(self.expected, str)


def compare(variant: Variant) -> str:
    """What the server makes of the file: "equal", the code of its rejection, or a difference."""
    try:
        decoded = decode(variant.write(), MAX_PIXELS, WHOLE_SIDE_PIXELS)
    except UndecodableError as error:
        return error.code
    if isinstance(variant.expected, str):
        return "decoded"
    shape = variant.expected.shape
    if decoded.pixels.shape != shape or (decoded.height, decoded.width) != shape[:2]:
        return f"{decoded.pixels.shape} instead of {shape}"
    difference = np.abs(decoded.pixels.astype(int) - variant.expected)
    if difference.max() <= variant.tolerance:
        return "equal"
    row, column, _ = np.unravel_index(difference.argmax(), shape)
    return (
        f"mean difference {difference.mean():.1f} of 255; {decoded.pixels[row, column]} instead "
        f"of {variant.expected[row, column]} at row {row}, column {column}"
    )


def picture(width: int = 37, height: int = 23) -> Pixels:
    """Every value of red, green and blue, edges, and no symmetry. Odd sides show errors of rows."""
    rows, columns = np.mgrid[0:height, 0:width]
    red = columns * 255 // max(width - 1, 1)
    green = rows * 255 // max(height - 1, 1)
    blue = (rows * 31 + columns * 17) % 256
    pixels = np.dstack([red, green, blue]).astype(np.uint8)
    pixels[: height // 3, : width // 3] = (0, 255, 0)
    pixels[-height // 4 :, -width // 4 :] = (255, 255, 255)
    pixels[-height // 4 :, : width // 5] = 0
    return pixels


def grey_picture(width: int = 37, height: int = 23) -> NDArray[np.uint8]:
    """H x W: one channel of `picture`, with all of its edges."""
    return np.ascontiguousarray(picture(width, height)[:, :, 2])


def repeat_grey(levels: NDArray[np.uint8]) -> Pixels:
    """H x W to H x W x 3."""
    return np.repeat(levels[:, :, np.newaxis], 3, axis=2)
