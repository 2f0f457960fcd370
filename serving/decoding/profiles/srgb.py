"""Convert pixels to sRGB with LittleCMS, in decoder processes and training only.

Pixels are reduced first as far as their reader allows, as a large JPEG is while it is decoded, so
that a profile costs about 15 ns a pixel of the reduced image.
"""

from functools import lru_cache
from io import BytesIO
from math import ceil

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from serving.decoding.decoded import scale_factor
from serving.decoding.profiles import icc

MODES = {b"RGB ": "RGB", b"GRAY": "L", b"CMYK": "CMYK"}
"""Pillow's names of the colour spaces that images have."""

Colour = float | tuple[float, ...]

WHITES: dict[str, Colour] = {"RGB": (255, 255, 255), "L": 255, "CMYK": (0, 0, 0, 0)}
BLACKS: dict[str, Colour] = {"RGB": (0, 0, 0), "L": 0, "CMYK": (255, 255, 255, 255)}

MIN_WHITE, MAX_BLACK = 200, 100
"""What a profile must make of white and black to be believed."""

GREY_RAMP = np.arange(256, dtype=np.uint8)[np.newaxis]

FLAGS = {"CMYK": ImageCms.Flags.BLACKPOINTCOMPENSATION, "L": ImageCms.Flags.NOOPTIMIZE}
"""LittleCMS shortens curves of grey, by up to 10 levels in dark greys."""

TRANSFORMS = 4
"""Transforms that a process keeps: up to 4 MB each, profile included, for one of printing."""


def matters(profile: bytes) -> bool:
    """Whether colours change. Costs 2 µs for a profile that was seen before."""
    return icc.colour_space(profile) in MODES and not icc.is_srgb(profile)


def converts_inks(profile: bytes) -> bool:
    """Whether cyan, magenta, yellow and black may be left to `to_srgb`."""
    return icc.colour_space(profile) == b"CMYK" and _transform(profile, "CMYK") is not None


def to_srgb(pixels: NDArray[np.uint8], profile: bytes, shorter_side: int) -> NDArray[np.uint8]:
    """Convert (H, W, 3), and reduce it to no less than `shorter_side`, if its profile matters.

    A profile of grey is applied to grey pixels, one of RGB to all, and one of inks to (H, W, 4)
    only; others are ignored.
    """
    mode = MODES[icc.colour_space(profile)] if matters(profile) else ""
    height, width, channels = pixels.shape
    if not mode or (mode == "CMYK") != (channels == 4):
        return pixels
    transform = _transform(profile, mode)
    if transform is None:
        return pixels
    factor = scale_factor(width, height, shorter_side)
    size = ceil(width / factor), ceil(height / factor)
    reduced = pixels
    if factor > 1:
        reduced = np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)
    if mode != "L":
        return np.array(transform.apply(Image.fromarray(reduced, mode)))
    grey = reduced[:, :, 0]
    if not (reduced == grey[:, :, np.newaxis]).all():
        return pixels
    colours = np.asarray(transform.apply(Image.fromarray(GREY_RAMP)), np.uint8)[0]
    return np.take(colours, grey, axis=0)


@lru_cache(maxsize=TRANSFORMS)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """None for a malformed profile. White stays white; the black of inks, which is grey, becomes
    black, and that of screens is kept."""
    flags = FLAGS.get(mode, ImageCms.Flags.NONE)
    try:
        transform = ImageCms.ImageCmsTransform(
            ImageCms.ImageCmsProfile(BytesIO(icc.without_programs(profile))),
            ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            flags=flags,
        )
        white, black = (
            np.asarray(transform.apply(Image.new(mode, (1, 1), colour)))
            for colour in (WHITES[mode], BLACKS[mode])
        )
    except (OSError, ValueError, TypeError, ImageCms.PyCMSError):
        return None
    return transform if white.min() >= MIN_WHITE and black.max() <= MAX_BLACK else None
