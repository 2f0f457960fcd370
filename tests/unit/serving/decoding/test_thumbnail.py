"""Whoever accepts image/jpeg alone gets a thumbnail, from the only process that opens images."""

from io import BytesIO

import pytest
from PIL import Image

from serving.decoding.thumbnail import SIDE_PIXELS, make_thumbnail
from serving.decoding.undecodable import UndecodableError
from serving.negotiation import wants_thumbnail
from tests.support.builders.images import encoded, plain

RED = (200, 30, 30)


def opened(jpeg: bytes) -> Image.Image:
    return Image.open(BytesIO(jpeg), formats=("JPEG",))


@pytest.mark.parametrize(("width", "height"), [(640, 320), (320, 640), (20, 10)])
def test_a_thumbnail_keeps_the_shape_and_is_small(width: int, height: int) -> None:
    photo = BytesIO()
    Image.new("RGB", (width, height), RED).save(photo, "PNG")
    small = make_thumbnail(photo.getvalue(), max_pixels=1_000_000)
    image = opened(small)
    assert max(image.size) == min(SIDE_PIXELS, max(width, height))
    assert image.size[0] * height == image.size[1] * width
    assert len(small) < 12_000
    assert image.getpixel((0, 0)) == pytest.approx(RED, abs=8)


def test_what_cannot_be_decoded_has_no_thumbnail() -> None:
    with pytest.raises(UndecodableError):
        make_thumbnail(b"junk", max_pixels=1_000_000)
    with pytest.raises(UndecodableError):
        make_thumbnail(encoded(plain(RED)), max_pixels=1)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [("image/jpeg", True), ("image/jpeg, application/json", False), ("*/*", False), ("", False)],
)
def test_only_who_takes_nothing_else_gets_one(accept: str, expected: bool) -> None:
    assert wants_thumbnail(accept) is expected
