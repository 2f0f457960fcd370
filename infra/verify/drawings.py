"""A small data set to train on: drawn shapes, the same in every run."""

import io
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw

SHAPES = ("circles", "squares", "stripes")
SIDE = 160
SPLITS = {"train": 8, "validation": 4, "test": 6}
"""Images per class, by split."""


def write(root: Path) -> Path:
    """Write the data set as `./sortbox train` expects it: a folder per split, with a folder per
    class.
    """
    for split, count in SPLITS.items():
        for shape in SHAPES:
            folder = root / split / shape
            folder.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                (folder / f"{number}.jpg").write_bytes(draw(shape, f"{split} {number}"))
    return root


def draw(shape: str, which: str) -> bytes:
    """A JPEG of the shape; the same `which` gives the same image."""
    random = Random(f"{shape} {which}")
    image = Image.new("RGB", (SIDE, SIDE), _color(random, 170, 255))
    pen = ImageDraw.Draw(image)
    ink = _color(random, 0, 90)
    if shape == "stripes":
        step = random.randint(14, 26)
        for left in range(0, SIDE, step):
            pen.rectangle((left, 0, left + step // 2, SIDE), fill=ink)
    else:
        for _ in range(random.randint(3, 5)):
            side = random.randint(36, 60)
            left, top = random.randint(0, SIDE - side), random.randint(0, SIDE - side)
            outline = pen.ellipse if shape == "circles" else pen.rectangle
            outline((left, top, left + side, top + side), fill=ink)
    packed = io.BytesIO()
    image.save(packed, "JPEG", quality=92)
    return packed.getvalue()


def _color(random: Random, low: int, high: int) -> tuple[int, int, int]:
    return random.randint(low, high), random.randint(low, high), random.randint(low, high)
