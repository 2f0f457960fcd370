"""One module knows EXIF orientations, and one package chooses decoders."""

import ast
import struct
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


def exif_of(*tags: tuple[int, int, int], order: str = "<", prefix: bytes = b"Exif\0\0") -> bytes:
    """Tags of a number, a type and a value."""
    entries = b"".join(
        struct.pack(order + "HHI", number, kind, 1)
        + struct.pack(order + {3: "H"}.get(kind, "I"), value).ljust(4, b"\0")
        for number, kind, value in tags
    )
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, len(tags))
    return prefix + head + entries + bytes(4)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [3, 4], ids=["SHORT", "LONG"])
@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0", b"Exif\0\0" * 2], ids=["none", "one", "two"])
def test_the_orientation_is_read_as_pillow_reads_it(order: str, kind: int, prefix: bytes) -> None:
    exif = exif_of((0x010F, 4, 99), (0x0112, kind, 6), order=order, prefix=prefix)
    expected = Image.Exif()
    expected.load(exif)
    assert orientation.read(exif) == 6 == expected[0x0112]


@pytest.mark.parametrize(
    "exif",
    [
        pytest.param(b"", id="none"),
        pytest.param(b"not a TIFF", id="no TIFF"),
        pytest.param(b"II*\0", id="cut in its head"),
        pytest.param(b"II*\0\xff\xff\0\0", id="directory beyond the end"),
        pytest.param(exif_of((0x0112, 3, 6))[:-9], id="cut in a tag"),
        pytest.param(exif_of((0x0112, 2, 6)), id="text"),
        pytest.param(exif_of((0x010F, 3, 6)), id="another tag"),
        pytest.param(exif_of(*[(0x010F, 3, 1)] * 1_500, (0x0112, 3, 6)), id="behind 1,500 tags"),
    ],
)
def test_malformed_or_absent_metadata_is_upright(exif: bytes) -> None:
    assert orientation.read(exif) == orientation.UPRIGHT


def test_xmp_counts_where_exif_has_no_orientation() -> None:
    xmp = b'<rdf:Description tiff:Orientation="8"/>'
    assert orientation.read(b"", xmp) == 8
    assert orientation.read(exif_of((0x010F, 3, 6)), xmp) == 8
    assert orientation.read(exif_of((0x0112, 3, 6)), xmp) == 6
    assert orientation.read(b"", b"<tiff:Orientation>3</tiff:Orientation>") == 3
    assert orientation.read(b"", b'tiff:Orientation="77"') == orientation.UPRIGHT


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
    assert openers == {"serving/decoding", "serving/decoding/formats"}
