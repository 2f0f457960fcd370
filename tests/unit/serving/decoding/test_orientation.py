"""One module knows EXIF orientations, and one package chooses decoders."""

import ast
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from serving.decoding import orientation

PRODUCT = Path(__file__).parents[4]
DECODERS = {"simplejpeg", "pillow_heif"}


@pytest.mark.parametrize("number", range(10))
def test_pixels_are_turned_as_pillow_turns_them(number: int) -> None:
    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = number
    expected = np.asarray(ImageOps.exif_transpose(image))
    turned = orientation.turn(pixels, number)
    assert np.array_equal(turned, expected)
    height, width = turned.shape[:2]
    assert orientation.upright_size(3, 2, number) == (width, height)


@pytest.mark.parametrize("value", ["six", b"\6", (6, 6), None])
def test_a_malformed_orientation_is_upright(value: object) -> None:
    exif = Image.Exif()
    exif[0x0112] = value
    assert orientation.read(lambda: exif) == orientation.UPRIGHT


def test_metadata_that_cannot_be_read_is_upright() -> None:
    def fail() -> Image.Exif:
        raise SyntaxError("not a TIFF")

    assert orientation.read(fail) == orientation.UPRIGHT


def opens_images(tree: ast.AST) -> bool:
    """Whether it imports a decoder, or calls Pillow's `open` or `exif_transpose`."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names) if {name.name for name in names} & DECODERS:
                return True
            case ast.ImportFrom(module=module) if module in DECODERS:
                return True
            case ast.Attribute(value=ast.Name(id="Image"), attr="open"):
                return True
            case ast.Attribute(attr="exif_transpose" | "imdecode" | "Orientation"):
                return True
    return False


def test_only_the_decoding_package_opens_images() -> None:
    """The demo's photographs come from packages and are trusted."""
    packages = ("serving", "training", "batch", "functions", "cli")
    openers = {
        str(path.relative_to(PRODUCT).parent)
        for package in packages
        for path in (PRODUCT / package).rglob("*.py")
        if opens_images(ast.parse(path.read_text()))
    }
    assert openers == {"serving/decoding"}
