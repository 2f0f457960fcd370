"""From levels of 0 to 255 to RGB."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from serving.decoding.colour import blend_with_white
from serving.decoding.formats.tiff.directory import Directory
from serving.decoding.formats.tiff.layout import JPEG, Layout, Photometric, Samples
from serving.decoding.undecodable import corrupt

LUMA = (0.299, 0.587, 0.114)
FULL_RANGE = (0.0, 255.0, 128.0, 255.0, 128.0, 255.0)
"""ReferenceBlackWhite of YCbCr where the tag is absent: as in JPEG."""

MIN_LUMA, MIN_RANGE = 0.01, 1
"""The least share of a colour in luma, and the least levels from black to white."""

Levels = NDArray[np.uint8]
"""Rows x columns x channels."""

Pixels = NDArray[np.uint8]
"""Rows x columns x 3; x 1 if grey."""


def read_palette(directory: Directory, bits: int) -> Pixels:
    """2**bits x 3. If no value exceeds 255, the map is one of eight bits, as libtiff has it."""
    values, colours = directory.numbers(320), 1 << bits
    if len(values) < 3 * colours:
        raise corrupt("tiff", "its palette is missing or too short")
    table = values[: 3 * colours].astype(np.uint16).reshape(3, colours).T
    return np.asarray(table >> (8 if table.max() > 255 else 0), np.uint8)


def to_rgb(levels: Levels, layout: Layout) -> Pixels:
    """Convert the colours of levels, which are not indexes of a palette."""
    colours = levels[:, :, : layout.samples.colours]
    match layout.samples.photometric:
        case Photometric.WHITE_IS_ZERO:
            return np.asarray(~colours)
        case Photometric.CMYK:
            lights = (~colours).astype(np.uint16)
            return np.asarray((lights[:, :, :3] * lights[:, :, 3:] + 127) // 255, np.uint8)
        case Photometric.YCBCR if layout.compression != JPEG:
            matrix = ycbcr_matrix(layout.directory)
            return np.asarray(cv2.transform(np.ascontiguousarray(colours), matrix), np.uint8)
        case Photometric.CIE_LAB:  # a and b are signed, and have an offset in a profile's L*a*b*
            return _lab_to_rgb(colours ^ np.array([0, 128, 128], np.uint8))
        case Photometric.ICC_LAB:
            return _lab_to_rgb(colours)
        case _:
            return colours


def blend(colours: Pixels, levels: Levels, samples: Samples) -> Pixels:
    """Blend with white where the image is transparent."""
    if samples.alpha == "none":
        return colours
    alpha = levels[:, :, samples.alpha_index, np.newaxis]
    if samples.alpha == "associated":
        return np.asarray(np.minimum(colours + (255 - alpha.astype(np.uint16)), 255), np.uint8)
    return blend_with_white(colours, alpha)


def ycbcr_matrix(directory: Directory) -> NDArray[np.float64]:
    """3 x 4, from Y, Cb, Cr and 1 to RGB (TIFF 6.0, section 21); of bad tags, the defaults."""
    luma, limits = directory.hints(529), directory.hints(532)
    if len(luma) != 3 or min(luma) < MIN_LUMA or max(luma) > 1:
        luma = list(LUMA)
    if len(limits) != 6 or any(limits[at + 1] - limits[at] < MIN_RANGE for at in (0, 2, 4)):
        limits = list(FULL_RANGE)
    scales = np.array([255, 127, 127]) / np.subtract(limits[1::2], limits[::2])
    red, green, blue = luma
    to_red, to_blue = 2 - 2 * red, 2 - 2 * blue
    chroma = np.array(
        [
            [1, 0, to_red],
            [1, -blue * to_blue / green, -red * to_red / green],
            [1, to_blue, 0],
        ]
    )
    matrix = chroma * scales
    return np.column_stack([matrix, -matrix @ np.array(limits[::2])])


def _lab_to_rgb(colours: NDArray[np.uint8]) -> Pixels:
    """L*a*b* of the white D50, a and b with an offset of 128, to sRGB by LittleCMS."""
    height, width, _ = colours.shape
    signed = colours ^ np.array([0, 128, 128], np.uint8)  # Pillow's raw mode is the signed one
    image = Image.frombytes("LAB", (width, height), signed.tobytes())
    return np.asarray(ImageCms.applyTransform(image, _lab_transform()), np.uint8)


@cache
def _lab_transform() -> ImageCms.ImageCmsTransform:
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(lab, srgb, "LAB", "RGB")
