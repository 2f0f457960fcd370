"""Photographs for the demo without a download: those that scikit-image ships, and variants
of them.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps


@dataclass(frozen=True, slots=True)
class DemoPhoto:
    """A file to upload, and the ImageNet labels that a person would accept (none if they are
    ambiguous).
    """

    name: str
    body: bytes
    expected: frozenset[str] = frozenset()


SHIPPED = {
    "cat.png": "chelsea.png",
    "coffee.png": "coffee.png",
    "camera.png": "camera.png",
    "motorcycle.png": "motorcycle_left.png",
    "rocket.jpg": "rocket.jpg",
    "astronaut.png": "astronaut.png",
    "coins.png": "coins.png",
    "retina.jpg": "retina.jpg",
}
"""File names in the demo, and in scikit-image."""

EXPECTED = {
    "cat.png": frozenset({"tabby", "tiger cat", "Egyptian cat"}),
    "coffee.png": frozenset({"espresso"}),
    "camera.png": frozenset({"tripod"}),
    "motorcycle.png": frozenset({"moped", "motor scooter"}),
    "rocket.jpg": frozenset({"missile", "projectile"}),
}


def singles() -> list[DemoPhoto]:
    """The photographs as they are shipped."""
    package = distribution("scikit-image")  # only its files: its imports are not installed
    folder = Path(str(package.locate_file("skimage/data")))
    return [
        DemoPhoto(name, (folder / shipped).read_bytes(), EXPECTED.get(name, frozenset()))
        for name, shipped in SHIPPED.items()
    ]


def folder() -> list[DemoPhoto]:
    """The same photographs, each in other formats that users' folders contain, and a text file."""
    variants = [variant for photo in singles() for variant in _variants(photo)]
    return [*singles(), *variants, DemoPhoto("day 2/notes.jpg", b"Sunny, 21 degrees. Saw a cat.")]


def _variants(photo: DemoPhoto) -> Iterator[DemoPhoto]:
    """Formats and edits that keep the subject; only the first one is certain to keep the label."""
    with Image.open(io.BytesIO(photo.body)) as opened:
        image = opened.convert("RGB")
    stem = photo.name.partition(".")[0]
    edits: dict[str, tuple[Callable[[Image.Image], Image.Image], str]] = {
        f"day 1/{stem}.jpg": (lambda image: image, "JPEG"),
        f"day 1/{stem} flipped.webp": (ImageOps.mirror, "WEBP"),
        f"day 2/{stem} (grey).png": (ImageOps.grayscale, "PNG"),
        f"day 2/{stem}+bright.jpg": (lambda im: ImageEnhance.Brightness(im).enhance(1.3), "JPEG"),
    }
    for name, (edit, format_) in edits.items():
        buffer = io.BytesIO()
        edit(image).save(buffer, format_, quality=92)
        yield DemoPhoto(name, buffer.getvalue())
