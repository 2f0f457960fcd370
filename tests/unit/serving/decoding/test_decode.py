import contextlib
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from serving.decoding.decode import decode
from serving.decoding.decoded import DecodedImage
from serving.decoding.undecodable import UndecodableError
from tests.support.builders import images
from tests.support.builders.images import GREEN, RED, encoded, picture
from tests.support.builders.profiles import SPACES, matrix_profile

# Decoders warn about odd files, and the server ignores that: the answer is what counts.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")

HOSTILE = images.hostile()


def decoded(body: bytes, max_pixels: int = 50_000_000, shorter_side: int = 512) -> DecodedImage:
    return decode(body, max_pixels, shorter_side)


def near(pixel: object, colour: tuple[int, int, int], distance: int = 30) -> bool:
    return bool(np.abs(np.subtract(pixel, colour)).max() <= distance)  # type: ignore[call-overload]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_a_picture_of_each_format_is_seen_for_what_it_is(form: str) -> None:
    image = decoded(encoded(picture(), form))
    assert (image.format, image.width, image.height) == (form.lower(), 96, 64)
    assert image.image.mode == "RGB"
    assert near(image.image.getpixel((10, 10)), GREEN)
    assert near(image.image.getpixel((90, 60)), RED)


def test_a_phones_heic_is_decoded() -> None:
    image = decoded(images.heic(picture()))
    assert (image.format, image.width, image.height) == ("heif", 96, 64)
    assert near(image.image.getpixel((10, 10)), GREEN)


def test_a_stereo_photo_is_a_jpeg_and_its_first_view_counts() -> None:
    stream = io.BytesIO()
    picture().save(stream, "MPO", save_all=True, append_images=[images.plain(images.BLUE)])
    image = decoded(stream.getvalue())
    assert (image.format, image.width) == ("jpeg", 96)
    assert near(image.image.getpixel((90, 60)), RED)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_with_a_sentence(name: str) -> None:
    body, code = HOSTILE[name]
    with pytest.raises(UndecodableError) as refusal:
        decoded(body)
    assert refusal.value.code == code
    assert refusal.value.message.endswith(".")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_exif_orientation_is_honoured_once(orientation: int, form: str) -> None:
    upside = {1: (5, 5), 2: (-5, 5), 3: (-5, -5), 4: (5, -5), 5: (5, 5), 6: (-5, 5)}
    x, y = (upside | {7: (-5, -5), 8: (5, -5)})[orientation]
    image = decoded(images.oriented(orientation, form))
    assert (image.width, image.height) == ((96, 64) if orientation < 5 else (64, 96))
    assert image.image.size == (image.width, image.height)
    assert near(image.image.getpixel((x % image.width, y % image.height)), GREEN, 60)


@pytest.mark.parametrize("orientation", [0, 9, 4711])
def test_an_orientation_that_does_not_exist_is_upright(orientation: int) -> None:
    image = decoded(images.oriented(orientation))
    assert near(image.image.getpixel((5, 5)), GREEN, 60)


def test_transparent_pixels_are_white() -> None:
    body = encoded(Image.new("RGBA", (8, 8), (0, 0, 0, 0)))
    assert decoded(body).image.getpixel((3, 3)) == (255, 255, 255)


def test_a_transparent_palette_entry_is_white() -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([255, 0, 0, 0, 0, 255])
    assert decoded(encoded(image, transparency=1)).image.getpixel((3, 3)) == (255, 255, 255)


def test_sixteen_bits_are_scaled_and_not_clipped() -> None:
    ramp = np.linspace(0, 65_535, 256).astype(np.uint16)[np.newaxis].repeat(8, axis=0)
    levels = np.asarray(decoded(encoded(Image.fromarray(ramp))).image)
    assert abs(levels[0, :, 0].astype(int) - np.arange(256)).max() <= 1


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((0.0, 0.5, 1.0), (0, 128, 255)),
        ((0, 128, 255), (0, 128, 255)),
        ((0, 25_700, 65_535), (0, 100, 255)),
        ((np.nan, np.inf, 1), (0, 0, 255)),
    ],
)
def test_floats_are_taken_by_the_range_they_fill(
    values: tuple[float, ...], expected: tuple[int, ...]
) -> None:
    image = Image.fromarray(np.array([values], np.float32))
    assert tuple(np.asarray(decoded(encoded(image, "TIFF")).image)[0, :, 0]) == expected


@pytest.mark.parametrize("values", [(-4, 0, 4), (-7, -7, -7), (0.5, 100.5, 200.5)])
def test_floats_of_no_usual_range_are_refused(values: tuple[float, ...]) -> None:
    image = Image.fromarray(np.array([values], np.float32))
    with pytest.raises(UndecodableError, match="floating-point numbers from") as refusal:
        decoded(encoded(image, "TIFF"))
    assert refusal.value.code == "unsupported_format"


def test_cmyk_becomes_rgb() -> None:
    body = encoded(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), "JPEG", quality=95)
    assert near(decoded(body).image.getpixel((8, 8)), RED)


def test_only_the_first_frame_of_an_animation_is_looked_at() -> None:
    frames = [images.plain(images.BLUE) for _ in range(3)]
    body = encoded(images.plain(RED), "GIF", save_all=True, append_images=frames)
    assert near(decoded(body).image.getpixel((3, 3)), RED)


def test_the_pixel_limit_is_exact() -> None:
    body = encoded(picture(100, 50))
    assert decoded(body, max_pixels=5_000).width == 100
    with pytest.raises(UndecodableError, match="100 x 50") as refusal:
        decoded(body, max_pixels=4_999)
    assert refusal.value.code == "too_many_pixels"


def test_a_large_jpeg_is_decoded_small_and_keeps_its_own_size() -> None:
    image = decoded(encoded(picture(1200, 900), "JPEG"), shorter_side=200)
    assert (image.width, image.height) == (1200, 900)
    assert 200 <= min(image.image.size) < 400


def test_junk_after_the_image_does_no_harm() -> None:
    assert decoded(encoded(picture(), "JPEG") + b"PK\3\4" + bytes(10_000)).width == 96


LIMITED = """
import resource, sys
from pathlib import Path
from serving.decoding.decode import decode
from serving.decoding.undecodable import UndecodableError

small, large = (Path(name).read_bytes() for name in sys.argv[1:])
decode(small, 50_000_000, 10)
[data] = [line for line in open("/proc/self/status") if line.startswith("VmData:")]
limit = int(data.split()[1]) * 1024 + 77 * 2**20
resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))
try:
    decode(large, 50_000_000, 1_500)
except UndecodableError as error:
    print(error.code)
"""
"""Memory for the pixels of 6000 x 4000, but not for the reduced ones, which OpenCV makes."""


def test_what_opencv_has_no_memory_for_is_too_expensive(tmp_path: Path) -> None:
    """OpenCV has an error of its own, which no reader of ours catches."""
    files = []
    for size in ((60, 40), (6_000, 4_000)):
        files.append(tmp_path / f"{size[0]}.tiff")
        image = Image.new("RGB", size, RED)
        image.save(files[-1], icc_profile=matrix_profile(*SPACES["Adobe RGB"]))
    command = [sys.executable, "-c", LIMITED, *map(str, files)]
    assert subprocess.check_output(command, text=True, timeout=60) == "too_expensive\n"


WHOLE = [encoded(picture(), form) for form in ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")]
WHOLE.append(images.heic(picture()))


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(WHOLE), st.integers(0, 600), st.binary(min_size=1, max_size=8), st.booleans()
)
def test_no_damage_raises_anything_but_a_refusal(
    whole: bytes, at: int, damage: bytes, cut: bool
) -> None:
    body = whole[:at] + damage + (b"" if cut else whole[at + len(damage) :])
    with contextlib.suppress(UndecodableError):
        assert decoded(body).image.mode == "RGB"
