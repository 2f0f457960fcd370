"""Small folders of images that a head learns at once: crops of a few photographs."""

import io
from pathlib import Path
from random import Random

from PIL import Image, ImageEnhance

from infra import photos

SUBJECTS = {photo.name.partition(".")[0]: photo.body for photo in photos.singles()}
"""cat, coffee, camera, motorcycle, rocket, astronaut, coins, retina"""

SIDE = 160


def crop(subject: str, which: str) -> bytes:
    """A JPEG of part of the photograph; the same for the same word."""
    random = Random(f"{subject} {which}")
    with Image.open(io.BytesIO(SUBJECTS[subject])) as opened:
        image = opened.convert("RGB")
    side = min(image.size) * random.uniform(0.7, 1.0)
    left, top = random.uniform(0, image.width - side), random.uniform(0, image.height - side)
    part = image.resize((SIDE, SIDE), box=(left, top, left + side, top + side))
    buffer = io.BytesIO()
    ImageEnhance.Brightness(part).enhance(random.uniform(0.8, 1.2)).save(buffer, "JPEG")
    return buffer.getvalue()


def folder(root: Path, labels: dict[str, str], images: int, split: str = "") -> Path:
    """`labels`: which subject each class shows. A folder a class, with this many images."""
    for label, subject in labels.items():
        (root / label).mkdir(parents=True)
        for number in range(images):
            (root / label / f"{number}.jpg").write_bytes(crop(subject, f"{split} {number}"))
    return root
