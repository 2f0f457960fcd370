"""Augmentation of training images. All randomness comes from the generator argument."""

import math
from collections.abc import Callable
from random import Random

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps

from domain.model import Preprocessing
from serving import preprocess
from serving.preprocess import Pixels

CROP_AREA = (0.25, 1.0)
"""Share of the image in a random crop. ImageNet's 0.08 loses the subject of small data sets."""

CROP_ASPECT = (3 / 4, 4 / 3)
GREY = (128, 128, 128)

Operation = Callable[[Image.Image, float], Image.Image]
"""An image and a strength from -1 to 1."""


def _affine(*matrix: float) -> Callable[[Image.Image], Image.Image]:
    return lambda image: image.transform(
        image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=GREY
    )


def _enhance(kind: Callable[[Image.Image], ImageEnhance._Enhance]) -> Operation:
    return lambda image, strength: kind(image).enhance(1 + 0.99 * strength)


TRIVIAL: tuple[Operation, ...] = (
    lambda image, _: image,
    lambda image, s: _affine(1, 0.99 * s, 0, 0, 1, 0)(image),
    lambda image, s: _affine(1, 0, 0, 0.99 * s, 1, 0)(image),
    lambda image, s: _affine(1, 0, 32 * s, 0, 1, 0)(image),
    lambda image, s: _affine(1, 0, 0, 0, 1, 32 * s)(image),
    lambda image, s: image.rotate(135 * s, Image.Resampling.BILINEAR, fillcolor=GREY),
    _enhance(ImageEnhance.Brightness),
    _enhance(ImageEnhance.Color),
    _enhance(ImageEnhance.Contrast),
    _enhance(ImageEnhance.Sharpness),
    lambda image, s: ImageOps.posterize(image, 8 - round(6 * abs(s))),
    lambda image, s: ImageOps.solarize(image, round(255 * (1 - abs(s)))),
    lambda image, _: ImageOps.autocontrast(image),
    lambda image, _: ImageOps.equalize(image),
)
"""TrivialAugment (Müller and Hutter, 2021), its wide space: one operation per image.

Not torchvision's, which draws from a global generator that threads share.
"""


def augment_image(
    image: Image.Image, preprocessing: Preprocessing, kind: str, rng: Random
) -> Pixels:
    """(crop, crop, 3). `kind`: trivial, flip or none, as in TrainConfig."""
    if kind == "none":
        return preprocess.crop(image, preprocessing)
    box = _random_box(image, rng)
    resampling = Image.Resampling[preprocessing.interpolation.upper()]
    square = image.resize((preprocessing.crop, preprocessing.crop), resampling, box=box)
    if rng.random() < 0.5:
        square = square.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if kind == "trivial":
        square = rng.choice(TRIVIAL)(square, rng.uniform(-1, 1))
    return np.asarray(square)


def _random_box(image: Image.Image, rng: Random) -> tuple[float, float, float, float]:
    area = image.width * image.height * rng.uniform(*CROP_AREA)
    shape = math.exp(rng.uniform(math.log(CROP_ASPECT[0]), math.log(CROP_ASPECT[1])))
    width = min(image.width, max(1.0, math.sqrt(area * shape)))
    height = min(image.height, max(1.0, math.sqrt(area / shape)))
    left, top = rng.uniform(0, image.width - width), rng.uniform(0, image.height - height)
    return left, top, left + width, top + height


def mix_batch(
    inputs: torch.Tensor, targets: torch.Tensor, mixup: float, cutmix: float, rng: Random
) -> tuple[torch.Tensor, torch.Tensor]:
    """`inputs`: (B, …), `targets`: (B, labels). Mixes each example with its neighbour."""
    if not mixup and not cutmix:
        return inputs, targets
    pastes = bool(cutmix) and (not mixup or rng.random() < 0.5)
    share = rng.betavariate(cutmix, cutmix) if pastes else rng.betavariate(mixup, mixup)
    neighbours = inputs.roll(1, 0)
    if pastes:
        inputs, share = _paste(inputs, neighbours, share, rng)
    else:
        inputs = share * inputs + (1 - share) * neighbours
    return inputs, share * targets + (1 - share) * targets.roll(1, 0)


def _paste(
    inputs: torch.Tensor, neighbours: torch.Tensor, share: float, rng: Random
) -> tuple[torch.Tensor, float]:
    """Paste a patch of the neighbour onto each image; returns the share that is left."""
    side = inputs.shape[-1]
    half = side * math.sqrt(1 - share) / 2
    x, y = rng.uniform(0, side), rng.uniform(0, side)
    left, right = round(max(0, x - half)), round(min(side, x + half))
    top, bottom = round(max(0, y - half)), round(min(side, y + half))
    inputs = inputs.clone()
    inputs[..., top:bottom, left:right] = neighbours[..., top:bottom, left:right]
    return inputs, 1 - (right - left) * (bottom - top) / side**2
