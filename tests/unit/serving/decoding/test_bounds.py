"""What costs too much by its structure is refused before it is decoded; what is legal is not."""

import contextlib
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from serving.decoding import bounds, jpeg
from serving.decoding.decode import decode
from serving.decoding.formats.foreign import UnsupportedFormat
from serving.decoding.orientation import UPRIGHT
from serving.decoding.sniff import sniff
from serving.decoding.undecodable import UndecodableError
from tests.support.builders import expensive, images

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")

MAX_PIXELS = 50_000_000
SECONDS = 2.0
"""The promise: what one bad image may cost."""

HOSTILE: dict[str, Callable[[], bytes]] = {
    "a JPEG that repeats its last scan": lambda: expensive.many_scans(4000, 4000, 7_000),
    "a grey one": lambda: expensive.many_scans(4000, 4000, 100, mode="L"),
    "one of CMYK": lambda: expensive.many_scans(4000, 4000, 100, mode="CMYK"),
    "one with fill bytes before its scans": lambda: expensive.many_scans(4000, 4000, 60).replace(
        b"\xff\xda", b"\xff\xff\xff\xda"
    ),
    "a small one": lambda: expensive.many_scans(300, 300, 1_000),
    "a JPEG of comments": lambda: expensive.with_segments(20_000),
    "a PNG of chunks": lambda: expensive.png_with_chunks(200_000),
    "a GIF of comments": lambda: expensive.gif_with_comments(150_000),
    "a GIF of extensions": lambda: expensive.gif_with_extensions(150_000),
    "a TIFF of too many tags": lambda: expensive.tiff_with_tags(10_000, 1),
    "a TIFF of JPEG scans": lambda: expensive.tiff_of_scans(2000, 2000, 5_000),
    "a HEIC that repeats its tile": lambda: expensive.heic_grid(512, 64, 64),
    "a HEIC of grids of grids": lambda: expensive.heic_grid(64, 16, 16, depth=3),
    "a WebP larger than memory allows": lambda: images.webp_of(16_383, 2_000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_costs_too_much_is_refused_by_name_and_at_once(name: str) -> None:
    body, began = HOSTILE[name](), time.process_time()
    form = sniff(body)
    assert form is not None
    assert not isinstance(form, UnsupportedFormat)
    if form not in ("png", "gif"):  # their modules check it while they read
        with pytest.raises(UndecodableError):  # before `decode`, which would take minutes
            bounds.check(body, form, MAX_PIXELS)
    with pytest.raises(UndecodableError) as refusal:
        decode(body, MAX_PIXELS, 224)
    assert refusal.value.code == "too_expensive"
    assert refusal.value.message.endswith(".")
    assert time.process_time() - began < SECONDS


LEGAL: dict[str, Callable[[], bytes]] = {
    "a progressive JPEG with more scans than programs write": lambda: expensive.many_scans(
        1000, 1000, 50
    ),
    "a JPEG of many segments": lambda: expensive.with_segments(900),
    "a JPEG in a JPEG's metadata": lambda: expensive.with_exif_tags(20),
    "a PNG in small chunks": lambda: expensive.png_with_chunks(20_000),
    "a PNG with a profile": lambda: expensive.png_with_text(b"iCCP", 1, 900_000),
    "a PNG of profiles that unpack to a megabyte": lambda: expensive.png_with_text(b"iCCP", 700),
    "a PNG of such text": lambda: expensive.png_with_text(b"zTXt", 700),
    "a PNG of such international text": lambda: expensive.png_with_text(b"iTXt", 700),
    "a PNG with many short texts": lambda: expensive.png_with_text(b"iTXt", 300, 200),
    "a PNG with long text that is not packed": lambda: expensive.png_with_plain_text(2_000_000),
    "a GIF with comments": lambda: expensive.gif_with_comments(5_000),
    "a TIFF of many tags": lambda: expensive.tiff_with_tags(50, 10),
    "a TIFF whose tags share their bytes": lambda: expensive.tiff_with_tags(1_000, 100_000),
    "one of the other byte order": lambda: expensive.tiff_with_tags(1_000, 100_000, ">"),
    "a TIFF of JPEG": lambda: expensive.tiff_of_scans(400, 400, 1),
    "a HEIC of tiles": lambda: expensive.heic_grid(256, 3, 4),
}


@pytest.mark.parametrize("name", LEGAL)
def test_what_is_legal_and_affordable_is_decoded(name: str) -> None:
    assert decode(LEGAL[name](), MAX_PIXELS, 224).pixels.size


def test_a_phones_large_jpeg_is_no_cheap_one_and_a_web_sites_is() -> None:
    photo = images.encoded(Image.effect_noise((4000, 3000), 60), "JPEG")
    assert jpeg.decode_cheap(photo, MAX_PIXELS, 224) is None
    assert jpeg.decode_ordinary(photo, MAX_PIXELS, 224) is not None
    site = images.encoded(Image.effect_noise((800, 600), 60), "JPEG", progressive=True)
    assert jpeg.decode_cheap(site, MAX_PIXELS, 224) is not None


@pytest.mark.parametrize("read", [jpeg.decode_ordinary, jpeg.decode_cheap])
def test_neither_fast_road_begins_what_has_too_many_scans(
    read: Callable[[bytes, int, int], object],
) -> None:
    assert read(expensive.many_scans(3000, 3000, 100), MAX_PIXELS, 224) is None


def test_exif_costs_its_table_of_tags_and_not_what_they_point_to() -> None:
    for tags, prefixes in ((20, 1), (1_500, 1), (1_500, 2)):
        began = time.process_time()
        header = jpeg.read_ordinary_header(expensive.with_exif_tags(tags, prefixes))
        assert header is not None
        assert header.orientation == UPRIGHT
        assert time.process_time() - began < SECONDS


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(expensive.many_scans(1, 65_500, 200), id="many scans of a thin image"),
        pytest.param(expensive.many_scans(65_500, 1, 200), id="of a flat one"),
        pytest.param(expensive.first_scan_only(65_500, 200), id="blocks that are smoothed"),
    ],
)
def test_no_worker_begins_a_jpeg_that_takes_far_longer_than_its_pixels(body: bytes) -> None:
    """Each took 0.2 s of a worker, which was promised 0.03 s."""
    assert jpeg.read_ordinary_header(body) is not None
    assert jpeg.decode_cheap(body, MAX_PIXELS, 256) is None


SEEDS = [
    expensive.many_scans(64, 48, 3),
    expensive.png_with_chunks(3),
    expensive.png_with_text(b"iTXt", 3, 10),
    expensive.gif_with_comments(3),
    expensive.tiff_with_tags(3, 10),
    expensive.tiff_with_tags(3, 10, ">"),
    b"II+\0" + expensive.tiff_with_tags(3, 10)[4:],
    expensive.heic_grid(64, 2, 2),
    expensive.heic_grid(64, 2, 2, depth=2),
    images.webp_of(64, 48),
]


@settings(deadline=None, max_examples=500)
@given(st.sampled_from(SEEDS), st.integers(0, 900), st.binary(min_size=1, max_size=12))
def test_no_damage_makes_a_check_raise_anything_else_or_take_long(
    seed: bytes, at: int, damage: bytes
) -> None:
    body = seed[:at] + damage + seed[at + len(damage) :]
    form, began = sniff(body), time.process_time()
    if form is None or isinstance(form, UnsupportedFormat):
        return
    with contextlib.suppress(UndecodableError):
        bounds.check(body, form, MAX_PIXELS)
    assert time.process_time() - began < SECONDS
