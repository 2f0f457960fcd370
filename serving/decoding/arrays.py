"""application/x-npy: read images from a NumPy array without NumPy's own loader.

The header is parsed, every number in it is checked against the size of the body, and the values are
viewed in place. Nothing is unpickled, and no claimed size is allocated.
"""

import math
from dataclasses import dataclass
from io import BytesIO
from tokenize import TokenError
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from serving.decoding.undecodable import UndecodableError

SHAPE_ADVICE = (
    "Send uint8 values as H x W x 3 or N x H x W x 3; floats in 0 to 1 or 0 to 255 and the "
    "order 3 x H x W or N x 3 x H x W are understood too."
)

SLICE_PIXELS = 100_000
"""Floats are converted in slices of this many pixels: 1 MB, which fits the processor's cache."""

MAX_TYPE_CHARACTERS = 60
MAX_AXIS_LENGTH = 2**63

HEADER_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}

HEADER_ERRORS = (
    LookupError,
    ValueError,
    TypeError,
    SyntaxError,
    OverflowError,
    RecursionError,
    MemoryError,  # raised by the parser for too many nested brackets
    TokenError,
)


@dataclass(frozen=True, slots=True)
class ArrayImage:
    """One image, H x W x 3."""

    image: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ArrayImages:
    """Several images, N x H x W x 3."""

    images: NDArray[np.uint8]


def read_array(body: bytes, max_pixels: int, max_images: int) -> ArrayImage | ArrayImages:
    """Read an array: three axes are one image, four are several, even if only one.

    Raises UndecodableError, also for more than `max_images`, or `max_pixels` in an image.
    """
    values = _channels_last(_view(body))
    images = values if values.ndim == 4 else values[np.newaxis]
    count, height, width, _ = images.shape
    if count > max_images:
        raise UndecodableError(
            "too_large", f"The array holds {count} images; at most {max_images} may."
        )
    if height * width > max_pixels:
        raise UndecodableError(
            "too_many_pixels",
            f"The images have {width} x {height} pixels; at most {max_pixels:,} are taken.",
        )
    if values.ndim == 3:
        return ArrayImage(_to_uint8(values))
    return ArrayImages(_to_uint8(values))


def _view(body: bytes) -> NDArray[np.generic]:
    if not body:
        raise UndecodableError("empty", "The file is empty.")
    if not body.startswith(npy.MAGIC_PREFIX):
        raise UndecodableError(
            "not_an_image", f"The file is not a NumPy array (.npy). {SHAPE_ADVICE}"
        )
    stream = BytesIO(body)
    shape, fortran, dtype = _read_header(stream)
    if dtype != np.uint8 and dtype.kind != "f":
        name = str(dtype)[:MAX_TYPE_CHARACTERS]
        raise UndecodableError("unsupported_array", f"The array's type is {name}. {SHAPE_ADVICE}")
    if min(shape, default=0) < 1 or len(shape) not in (3, 4):
        raise _shape_error(shape)
    size = math.prod(shape) * dtype.itemsize
    if len(body) - stream.tell() < size:
        raise UndecodableError("truncated", "The array ends before its header says it does.")
    values = np.frombuffer(body, dtype, math.prod(shape), stream.tell())
    return values.reshape(shape, order="F" if fortran else "C")


def _read_header(stream: BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    try:
        read = HEADER_READERS[npy.read_magic(stream)]  # type: ignore[no-untyped-call]
        shape, fortran, dtype = read(stream)  # type: ignore[no-untyped-call]
        if any(
            type(axis) is not int or abs(axis) >= MAX_AXIS_LENGTH for axis in shape
        ):  # True, or 10**5000
            raise ValueError("an axis has no length that an array can have")
    except HEADER_ERRORS as error:
        raise UndecodableError("corrupt", "The NumPy array's header cannot be read.") from error
    return shape, fortran, dtype


def _channels_last(values: NDArray[np.generic]) -> NDArray[np.generic]:
    """Move the channels last. An array whose last axis is 3 is taken as H x W x 3."""
    if values.shape[-1] == 3:
        return values
    if values.shape[-3] == 3:
        return np.moveaxis(values, -3, -1)
    raise _shape_error(values.shape)


def _shape_error(shape: tuple[int, ...]) -> UndecodableError:
    text = " x ".join(str(axis) for axis in shape[:8]) or "a single value"
    return UndecodableError("unsupported_array", f"The array's shape is {text}. {SHAPE_ADVICE}")


def _to_uint8(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Convert to 0..255, floats in slices: 100 MB of float16 would otherwise take 600 MB."""
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values, np.uint8)
    slices = _slices(values)
    extremes = [(float(levels.min()), float(levels.max())) for levels in map(_to_float32, slices)]
    low = min(low for low, _ in extremes)
    high = max(high for _, high in extremes)
    if not all(low >= 0 and high <= 255 for low, high in extremes):  # true for NaN as well
        raise UndecodableError(
            "unsupported_array",
            f"The array's values go from {low:g} to {high:g}: it seems to be normalised. "
            f"{SHAPE_ADVICE}",
        )
    scale = 255 if high <= 1 else 1
    pixels = np.empty(values.shape, np.uint8)
    for levels, target in zip(map(_to_float32, slices), _slices(pixels), strict=True):
        target[:] = np.rint(levels * scale)
    return pixels


def _slices(values: NDArray[Any]) -> list[NDArray[Any]]:
    """Views of some rows each, or of parts of long rows."""
    *_, height, width, _ = values.shape
    columns = min(width, SLICE_PIXELS)
    rows = SLICE_PIXELS // columns
    images = values if values.ndim == 4 else values[np.newaxis]
    return [
        image[top : top + rows, left : left + columns]
        for image in images
        for top in range(0, height, rows)
        for left in range(0, width, columns)
    ]


def _to_float32(values: NDArray[np.generic]) -> NDArray[np.float32]:
    with np.errstate(all="ignore"):  # values beyond float32 become infinite and are rejected
        return np.asarray(values, np.float32)
