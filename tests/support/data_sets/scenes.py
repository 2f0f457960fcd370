"""Pictures that differ as photographs do, and copies of one as people make them."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

COPIES = ("recompressed", "reduced", "mirrored", "mirrored and reduced", "enlarged", "brighter")


STRIPES = {"cup": "across", "hat": "down"}
"""Of each class."""

STRIPE_PIXELS = 6


def scene(seed: int, width: int = 240, height: int = 200, stripes: str = "across") -> Image.Image:
    """A background of soft light with a few things that have sharp edges; sure to be bright. The
    fine stripes, `across` or `down`, are what a network tells classes by.
    """
    random = np.random.default_rng(seed)
    light = random.integers(60, 220, (4, 5, 3), np.uint8)
    image = Image.fromarray(light).resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        left, top = random.integers(0, width * 3 // 4), random.integers(0, height * 3 // 4)
        right = left + random.integers(width // 10, width // 3)
        bottom = top + random.integers(height // 10, height // 3)
        colour = tuple(int(value) for value in random.integers(0, 256, 3))
        draw.ellipse((int(left), int(top), int(right), int(bottom)), fill=colour)
    draw.rectangle((10, 10, 40, 40), outline="white", width=6)
    pattern = np.asarray(image).astype(int)
    lines = pattern.swapaxes(0, 1) if stripes == "down" else pattern
    for start in range(0, len(lines), 2 * STRIPE_PIXELS):
        lines[start : start + STRIPE_PIXELS] -= 50
    return Image.fromarray(np.clip(pattern, 0, 255).astype(np.uint8))


def copy(image: Image.Image, kind: str) -> Image.Image:
    """`kind`: one of COPIES; recompression is `encode`'s."""
    if "mirrored" in kind:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if "reduced" in kind:
        image = image.resize((image.width * 2 // 5, image.height * 2 // 5))
    if kind == "enlarged":
        image = image.resize((image.width * 2, image.height * 2))
    if kind == "brighter":
        image = image.point(lambda value: min(255, int(value * 1.1)))
    return image


def encode(image: Image.Image, quality: int = 90) -> bytes:
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def blurred(image: Image.Image, share: float) -> Image.Image:
    """By a Gaussian whose deviation is a share of the shorter side."""
    return image.filter(ImageFilter.GaussianBlur(share * min(image.size)))


def folder(root: Path, images: int) -> Path:
    """`train`, `validation` and `test` with as many different scenes of each class."""
    seed = 0
    for split in ("train", "validation", "test"):
        for label in STRIPES:
            (root / split / label).mkdir(parents=True)
            for number in range(images):
                path = root / split / label / f"{number}.jpg"
                path.write_bytes(encode(scene(seed, stripes=STRIPES[label])))
                seed += 1
    return root
