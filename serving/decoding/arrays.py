"""NumPy arrays: read images from them without NumPy's own loader, and write scores as one.

The header is parsed, every number in it is checked against the size of the body, and the values are
viewed in place. Nothing is unpickled, and no claimed size is allocated. The type declares the range
of the values, so that neither one pixel nor another image of the same array changes it.
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

MAGIC: bytes = npy.MAGIC_PREFIX

WHITE_LEVEL = 255
"""The white of uint8 values; that of floats is 1, and black is 0. Whole numbers of other types are
refused: most hold 0 to 255 by accident, and would be black pictures in the range of their type."""

FLOAT_TOLERANCE = np.float32(0.1)
"""Floats go from 0 to 1. What is beyond them by at most this much is clipped: resizing overshoots
at edges. Normalised values, and those of 0 to 255, go farther."""

SHAPE_ADVICE = (
    "Send H x W x 3 or N x H x W x 3, with the channels last or first, or one channel for grey, or "
    "H x W: uint8 values from 0 to 255, or floats from 0 to 1."
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
    """One image, H x W x 3; of a grey one, the three channels share memory."""

    image: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ArrayImages:
    """Several images, N x H x W x 3; of grey ones, the three channels share memory."""

    images: NDArray[np.uint8]


def read_array(body: bytes, max_pixels: int, max_images: int) -> ArrayImage | ArrayImages:
    """Read an array: two or three axes are one image, four are several, even if only one.

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
    pixels = np.broadcast_to(_to_uint8(images), (count, height, width, 3))
    return ArrayImages(pixels) if values.ndim == 4 else ArrayImage(pixels[0])


def write_scores(scores: NDArray[np.float32]) -> bytes:
    """As a `.npy` file: images x labels, float32."""
    stream = BytesIO()
    np.save(stream, scores, allow_pickle=False)
    return stream.getvalue()


def _view(body: bytes) -> NDArray[np.generic]:
    if not body:
        raise UndecodableError("empty", "The file is empty.")
    if not body.startswith(MAGIC):
        raise UndecodableError(
            "not_an_image", f"The file is not a NumPy array (.npy). {SHAPE_ADVICE}"
        )
    stream = BytesIO(body)
    shape, fortran, dtype = _read_header(stream)
    if dtype != np.uint8 and dtype.kind != "f":
        name = str(dtype)[:MAX_TYPE_CHARACTERS]
        raise UndecodableError("unsupported_array", f"The array's type is {name}. {SHAPE_ADVICE}")
    if min(shape, default=0) < 1 or len(shape) not in (2, 3, 4):
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
    """H x W x C or N x H x W x C, with one or three channels; the last axis is looked at first."""
    if values.ndim == 2:
        return values[:, :, np.newaxis]
    if values.shape[-1] in (1, 3):
        return values
    if values.shape[-3] in (1, 3):
        return np.moveaxis(values, -3, -1)
    raise _shape_error(values.shape)


def _shape_error(shape: tuple[int, ...]) -> UndecodableError:
    text = " x ".join(str(axis) for axis in shape[:8]) or "a single value"
    return UndecodableError("unsupported_array", f"The array's shape is {text}. {SHAPE_ADVICE}")


def _to_uint8(images: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Scale to 0..255 in slices: 100 MB of float16 would otherwise take 600 MB."""
    if images.dtype == np.uint8:
        return np.ascontiguousarray(images, np.uint8)
    pixels = np.empty(images.shape, np.uint8)
    for values, target in zip(_slices(images), _slices(pixels), strict=True):
        levels = _to_float32(values)
        _check_floats(levels)
        target[:] = np.rint(levels.clip(0, 1) * WHITE_LEVEL)
    return pixels


def _check_floats(levels: NDArray[np.float32]) -> None:
    """Raises UndecodableError unless all values are from 0 to 1, within the tolerance."""
    low, high = levels.min(), levels.max()
    if low >= -FLOAT_TOLERANCE and high <= 1 + FLOAT_TOLERANCE:
        return
    if not math.isfinite(low) or not math.isfinite(high):
        raise UndecodableError(
            "unsupported_array",
            "The array holds values that are not finite numbers (NaN or infinity), which no pixel "
            "can have. Replace them and send it again.",
        )
    advice = (
        "Divide them by 255, or send them as uint8."
        if low >= 0 and high <= 255
        else "They seem to be normalised: send the pixels as they were before."
    )
    raise UndecodableError(
        "unsupported_array",
        f"The array holds values from {low:g} to {high:g}; floats are taken from 0 (black) to 1 "
        f"(white). {advice}",
    )


def _slices(images: NDArray[Any]) -> list[NDArray[Any]]:
    """Views of some rows each, or of parts of long rows."""
    _, height, width, _ = images.shape
    columns = min(width, SLICE_PIXELS)
    rows = SLICE_PIXELS // columns
    return [
        image[top : top + rows, left : left + columns]
        for image in images
        for top in range(0, height, rows)
        for left in range(0, width, columns)
    ]


def _to_float32(values: NDArray[np.generic]) -> NDArray[np.float32]:
    with np.errstate(all="ignore"):  # values beyond float32 become infinite and are refused
        return np.asarray(values, np.float32)
