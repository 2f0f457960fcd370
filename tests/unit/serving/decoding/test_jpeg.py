"""The fast road beside the hardened one: which files take it, and that nobody sees which."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage import data

from serving.decoding import jpeg
from serving.decoding.decode import decode_hardened
from tests.support.builders.images import encoded, oriented, picture

MAX_PIXELS = 50_000_000
PHOTOS = ("chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png")


def photo(name: str, size: int, **options: object) -> bytes:
    image = Image.open(Path(data.__file__).parent / name).convert("RGB")
    image.thumbnail((size, size))
    return encoded(image, "JPEG", **options)


@pytest.mark.parametrize("shorter_side", [40, 80, 120, 160, 224])
@pytest.mark.parametrize("name", PHOTOS)
@pytest.mark.parametrize(
    "options",
    [{"quality": 90}, {"quality": 60, "subsampling": 0}, {"progressive": True}],
    ids=["usual", "full colour", "progressive"],
)
def test_photos_are_the_same_to_the_bit_on_both_roads(
    name: str, options: dict[str, object], shorter_side: int
) -> None:
    body = photo(name, 500, **options)
    fast, slow = (
        jpeg.decode_ordinary(body, MAX_PIXELS, shorter_side),
        decode_hardened(body, MAX_PIXELS, shorter_side),
    )
    assert fast is not None
    assert (fast.width, fast.height, fast.format) == (slow.width, slow.height, slow.format)
    assert np.array_equal(fast.pixels, slow.pixels)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_is_honoured_as_on_the_hardened_road(orientation: int) -> None:
    body = oriented(orientation)
    fast, slow = jpeg.decode_ordinary(body, MAX_PIXELS, 512), decode_hardened(body, MAX_PIXELS, 512)
    assert fast is not None
    assert (fast.width, fast.height) == (slow.width, slow.height)
    assert np.array_equal(fast.pixels, slow.pixels)


def test_a_grey_photo_takes_the_fast_road() -> None:
    body = encoded(picture().convert("L"), "JPEG")
    fast = jpeg.decode_ordinary(body, MAX_PIXELS, 512)
    assert fast is not None
    assert np.array_equal(fast.pixels, decode_hardened(body, MAX_PIXELS, 512).pixels)


def rgb_without_conversion() -> bytes:
    stream = io.BytesIO()
    picture().save(stream, "JPEG", keep_rgb=True)
    return stream.getvalue()


def turned_by_xmp() -> bytes:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'
    return encoded(picture(), "JPEG", xmp=xmp)


WHOLE = encoded(picture(), "JPEG")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(WHOLE[:-40], id="cut short"),
        pytest.param(WHOLE[:20], id="cut in its header"),
        pytest.param(encoded(picture(), "PNG"), id="no JPEG"),
        pytest.param(encoded(picture().convert("CMYK"), "JPEG"), id="CMYK"),
        pytest.param(turned_by_xmp(), id="turned by XMP"),
    ],
)
def test_what_is_not_ordinary_is_left_to_the_hardened_road(body: bytes) -> None:
    assert jpeg.decode_ordinary(body, MAX_PIXELS, 512) is None


def test_an_image_without_colour_conversion_looks_the_same() -> None:
    body = rgb_without_conversion()
    fast = jpeg.decode_ordinary(body, MAX_PIXELS, 512)
    assert fast is None or np.array_equal(
        fast.pixels, decode_hardened(body, MAX_PIXELS, 512).pixels
    )


def test_too_many_pixels_are_left_to_the_road_that_says_so() -> None:
    assert jpeg.decode_ordinary(WHOLE, 96 * 64 - 1, 512) is None
    assert jpeg.decode_ordinary(WHOLE, 96 * 64, 512) is not None
