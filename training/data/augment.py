"""What training images go through. All chance comes from the generator that is handed in."""

import math
from collections.abc import Callable
from random import Random

import numpy as np
import torch
from PIL import Image, ImageEnhance, ImageOps

from domain.model import Preprocessing
from serving import preprocess
from serving.preprocess import Pixels

AREA = (0.25, 1.0)
"""Of the image, that a random crop keeps. ImageNet's 0.08 loses the subject of small data sets."""

SHAPE = (3 / 4, 4 / 3)
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
"""TrivialAugment (Müller and Hutter, 2021), its wide space: one operation an image, any strength.

Our own because torchvision's draws from a global generator, which threads share.
"""


def augmented(image: Image.Image, numbers: Preprocessing, kind: str, random: Random) -> Pixels:
    """(crop, crop, 3). `kind`: trivial, flip or none, as in TrainConfig."""
    if kind == "none":
        return preprocess.crop(image, numbers)
    box = _random_box(image, random)
    resampling = Image.Resampling[numbers.interpolation.upper()]
    square = image.resize((numbers.crop, numbers.crop), resampling, box=box)
    if random.random() < 0.5:
        square = square.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if kind == "trivial":
        square = random.choice(TRIVIAL)(square, random.uniform(-1, 1))
    return np.asarray(square)


def _random_box(image: Image.Image, random: Random) -> tuple[float, float, float, float]:
    area = image.width * image.height * random.uniform(*AREA)
    shape = math.exp(random.uniform(math.log(SHAPE[0]), math.log(SHAPE[1])))
    width = min(image.width, max(1.0, math.sqrt(area * shape)))
    height = min(image.height, max(1.0, math.sqrt(area / shape)))
    left, top = random.uniform(0, image.width - width), random.uniform(0, image.height - height)
    return left, top, left + width, top + height


def blended(
    inputs: torch.Tensor, targets: torch.Tensor, mixup: float, cutmix: float, random: Random
) -> tuple[torch.Tensor, torch.Tensor]:
    """`targets`: (images, labels) probabilities. Each image meets its neighbour in the batch."""
    if not mixup and not cutmix:
        return inputs, targets
    pastes = bool(cutmix) and (not mixup or random.random() < 0.5)
    share = random.betavariate(cutmix, cutmix) if pastes else random.betavariate(mixup, mixup)
    neighbours = inputs.roll(1, 0)
    if pastes:
        inputs, share = _pasted(inputs, neighbours, share, random)
    else:
        inputs = share * inputs + (1 - share) * neighbours
    return inputs, share * targets + (1 - share) * targets.roll(1, 0)


def _pasted(
    inputs: torch.Tensor, neighbours: torch.Tensor, share: float, random: Random
) -> tuple[torch.Tensor, float]:
    """A patch of the neighbour over each image, and the share of the image that is left."""
    side = inputs.shape[-1]
    half = side * math.sqrt(1 - share) / 2
    x, y = random.uniform(0, side), random.uniform(0, side)
    left, right = round(max(0, x - half)), round(min(side, x + half))
    top, bottom = round(max(0, y - half)), round(min(side, y + half))
    inputs = inputs.clone()
    inputs[..., top:bottom, left:right] = neighbours[..., top:bottom, left:right]
    return inputs, 1 - (right - left) * (bottom - top) / side**2
