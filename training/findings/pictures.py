"""What can be measured of one picture by itself: signature, brightness, sharpness, size.

A signature has 576 bytes and the other measures 24: a million images take 600 MB.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from serving.decoding.decoded import DecodedImage
from serving.preprocess import Pixels
from training.data.dataset import Dataset, Example

MEASURED_SIDE = 192
"""Shorter side at which pictures are measured, so that sharpness does not depend on their size."""

SIGNATURE_SIDE = 24
"""With fewer, different things on one background look the same; with more, recompression counts.
Of 2,158 photographs of clothing, the two most alike that differ have a similarity of 0.973, and
copies that were reduced, recompressed and mirrored one of 0.994 or more."""

BRIGHTEST, DARKEST = 0.99, 0.01
"""Quantiles of brightness: single pixels are noise."""

SHARPEST = 0.995
"""Quantile of the differences between neighbouring pixels: a sharp subject on a blurred background
is sharp."""


@dataclass(frozen=True, slots=True)
class PictureMeasures:
    signature: NDArray[np.uint8]
    """(SIGNATURE_SIDE, SIGNATURE_SIDE), grey."""
    brightest: float
    """From 0 to 1."""
    contrast: float
    """Between the darkest and the brightest parts, from 0 to 1."""
    sharpness: float
    """The strongest change from pixel to pixel as a share of the contrast: a dim picture can be
    sharp. Photographs have 0.17 to 2; blurred by a hundredth of their side, 0.1 or less.
    """
    shorter_side: int
    pixels: int


@dataclass(frozen=True)
class PictureTable:
    """The measures of all images, in the order of `examples`."""

    examples: list[tuple[str, Example]]
    """With the split; in the order of the data set."""
    signatures: NDArray[np.uint8]
    """(N, SIGNATURE_SIDE, SIGNATURE_SIDE)"""
    brightest: NDArray[np.float32]
    contrast: NDArray[np.float32]
    sharpness: NDArray[np.float32]
    shorter_side: NDArray[np.int32]
    pixels: NDArray[np.int64]

    @classmethod
    def of(cls, dataset: Dataset) -> "PictureTable":
        """Empty: every row is to be recorded."""
        examples = [(split, one) for split, listed in dataset.splits.items() for one in listed]
        count = len(examples)
        return cls(
            examples,
            np.zeros((count, SIGNATURE_SIDE, SIGNATURE_SIDE), np.uint8),
            np.zeros(count, np.float32),
            np.zeros(count, np.float32),
            np.zeros(count, np.float32),
            np.zeros(count, np.int32),
            np.zeros(count, np.int64),
        )

    def record(self, row: int, decoded: DecodedImage) -> None:
        """Of an image that may be decoded at a reduced size. Threads may record other rows."""
        picture = measure_picture(decoded.pixels, decoded.width, decoded.height)
        self.signatures[row] = picture.signature
        self.brightest[row] = picture.brightest
        self.contrast[row] = picture.contrast
        self.sharpness[row] = picture.sharpness
        self.shorter_side[row] = picture.shorter_side
        self.pixels[row] = picture.pixels


def measure_picture(pixels: Pixels, width: int, height: int) -> PictureMeasures:
    """`pixels`: (H, W, 3), which may be a reduction of the image of `width` x `height`."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    scale = MEASURED_SIDE / min(grey.shape)
    if scale < 1:
        size = [max(1, round(side * scale)) for side in reversed(grey.shape)]
        grey = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    signature = cv2.resize(grey, (SIGNATURE_SIDE, SIGNATURE_SIDE), interpolation=cv2.INTER_AREA)
    darkest, brightest = _quantiles(grey, DARKEST, BRIGHTEST)
    edges = np.abs(cv2.Laplacian(grey, cv2.CV_16S, ksize=1))
    (sharpest,) = _quantiles(edges, SHARPEST)
    return PictureMeasures(
        np.asarray(signature, np.uint8),
        brightest / 255,
        (brightest - darkest) / 255,
        sharpest / (brightest - darkest + 1),
        min(width, height),
        width * height,
    )


def _quantiles(values: NDArray[np.generic], *shares: float) -> list[int]:
    """Of whole numbers, by counting them: ten times as fast as sorting."""
    counts = np.bincount(values.ravel().astype(np.int64)).cumsum()
    return [int(np.searchsorted(counts, share * counts[-1])) for share in shares]
