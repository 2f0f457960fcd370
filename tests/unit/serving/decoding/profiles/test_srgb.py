import io
import random
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image, ImageCms
from skimage import data

from serving.decoding import jpeg
from serving.decoding.decode import decode, decode_hardened
from serving.decoding.profiles import srgb
from tests.support.builders import profiles
from tests.support.builders.profiles import SPACES, SRGB, Pixels, as_seen, matrix_profile

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::RuntimeWarning")

PICTURE = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
WHOLE_SIDE = 65_536
MAX_PIXELS = 50_000_000
LOSSLESS = ("PNG", "TIFF", "WEBP")


def encode(pixels: Pixels, form: str, profile: bytes, **options: object) -> bytes:
    stream = io.BytesIO()
    image = Image.fromarray(pixels)
    image.save(stream, form, icc_profile=profile, quality=95, lossless=form == "WEBP", **options)
    return stream.getvalue()


def levels_off(body: bytes, expected: Pixels) -> int:
    seen = decode(body, MAX_PIXELS, WHOLE_SIDE).pixels
    return int(np.abs(seen.astype(int) - expected).max())


@pytest.mark.parametrize("form", LOSSLESS)
@pytest.mark.parametrize("name", SPACES)
def test_pixels_are_those_that_viewers_show(name: str, form: str) -> None:
    body = encode(PICTURE, form, matrix_profile(*SPACES[name]))
    assert levels_off(body, as_seen(PICTURE, *SPACES[name])) <= 2


@pytest.mark.parametrize("form", LOSSLESS)
@pytest.mark.parametrize("profile", [b"", profiles.srgb_profile()], ids=["untagged", "sRGB"])
def test_pixels_of_srgb_are_not_touched(profile: bytes, form: str) -> None:
    assert levels_off(encode(PICTURE, form, profile), PICTURE) == 0


@pytest.mark.parametrize("gamma", [1.0, 1.8, 4.0])
def test_grey_is_converted_by_its_gamma(gamma: float) -> None:
    grey = PICTURE[:, :, 0]
    expected = as_seen(grey[:, :, np.newaxis].repeat(3, axis=2), SRGB, gamma)
    for form in ("PNG", "TIFF"):
        assert levels_off(encode(grey, form, profiles.grey_profile(gamma)), expected) <= 2


def test_a_profile_of_rgb_is_applied_to_grey_as_well() -> None:
    grey = PICTURE[:, :, 0]
    expected = as_seen(grey[:, :, np.newaxis].repeat(3, axis=2), SRGB, 1.0)
    assert levels_off(encode(grey, "PNG", matrix_profile(SRGB, 1.0)), expected) <= 2


def test_a_profile_of_grey_is_not_applied_to_colours() -> None:
    assert levels_off(encode(PICTURE, "PNG", profiles.grey_profile(1.0)), PICTURE) == 0


def test_a_table_is_a_profile_as_well() -> None:
    """Swapped channels in a table, as XYB JPEGs have theirs: no matrix says so."""
    corners = np.stack(np.meshgrid(*[[0.0, 1.0]] * 3, indexing="ij"), axis=-1)
    table = profiles.table_profile(b"RGB ", (corners[..., [2, 0, 1]] @ SRGB.T).clip(0, 1))
    flat = np.array([[[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0]]], np.uint8)
    assert levels_off(encode(flat, "PNG", table), flat[:, :, [2, 0, 1]]) <= 6


def inks(profile: bytes, form: str) -> bytes:
    blocks = np.zeros((16, 80, 4), np.uint8)
    for at, colour in enumerate(
        [(0, 0, 0, 0), (255, 0, 0, 0), (0, 128, 0, 0), (0, 0, 255, 64), (0, 0, 0, 255)]
    ):
        blocks[:, 16 * at : 16 * at + 16] = colour
    stream = io.BytesIO()
    options = {"quality": 100} if form == "JPEG" else {}
    Image.fromarray(blocks, "CMYK").save(stream, form, icc_profile=profile, **options)
    return stream.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_inks_are_mixed_as_their_profile_says(form: str) -> None:
    light = np.array([(1, 1, 1), (0, 1, 1), (1, 1 - 128 / 255, 1), (0.75, 0.75, 0), (0, 0, 0)])
    seen = decode(inks(profiles.cmyk_profile(), form), MAX_PIXELS, WHOLE_SIDE).pixels
    assert np.abs(seen[8, 8::16].astype(int) - profiles.to_levels(light)).max() <= 6


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_inks_without_a_profile_of_inks_are_mixed_simply(form: str) -> None:
    usual = decode(inks(b"", form), MAX_PIXELS, WHOLE_SIDE).pixels
    for profile in (matrix_profile(SRGB, 1.0), profiles.cmyk_profile()[:300]):
        assert np.array_equal(decode(inks(profile, form), MAX_PIXELS, WHOLE_SIDE).pixels, usual)


@pytest.mark.parametrize("shorter_side", [40, 120, 224])
@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpegs_are_the_same_to_the_bit_on_both_routes(
    name: str, mode: str, shorter_side: int
) -> None:
    photo = np.asarray(Image.fromarray(data.chelsea()).convert(mode))
    body = encode(photo, "JPEG", matrix_profile(*SPACES[name]), exif=b"Exif\0\0" + TURNED)
    fast = jpeg.decode_ordinary(body, MAX_PIXELS, shorter_side)
    slow = decode_hardened(body, MAX_PIXELS, shorter_side)
    assert fast is not None
    assert (fast.width, fast.height) == (slow.width, slow.height) == (300, 451)
    assert np.array_equal(fast.pixels, slow.pixels)


TURNED = b"II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\6\0\0\0\0\0\0\0"
"""EXIF of orientation 6."""


def test_a_jpeg_of_light_is_as_bright_as_its_twin() -> None:
    photo = data.coffee()
    light = np.rint(((photo / 255) ** 2.2) * 255).astype(np.uint8)
    body = encode(light, "JPEG", matrix_profile(SRGB, 1.0), subsampling=0)
    seen = decode(body, MAX_PIXELS, WHOLE_SIDE).pixels
    assert abs(seen.mean() - photo.mean()) < 3 < photo.mean() - light.mean()


def test_only_a_profile_that_matters_keeps_a_jpeg_from_the_servers_own_threads() -> None:
    for profile in (b"", profiles.srgb_profile(), b"junk" * 100):
        assert jpeg.decode_cheap(encode(PICTURE, "JPEG", profile), MAX_PIXELS, 40) is not None
    for profile in (matrix_profile(*SPACES["P3"]), profiles.grey_profile(1.0)):
        assert jpeg.decode_cheap(encode(PICTURE, "JPEG", profile), MAX_PIXELS, 40) is None


def test_a_large_picture_is_reduced_before_it_is_converted() -> None:
    large = np.full((600, 800, 3), 60, np.uint8)
    body = encode(large, "PNG", matrix_profile(SRGB, 1.0))
    decoded = decode(body, MAX_PIXELS, 100)
    assert decoded.pixels.shape == (150, 200, 3)
    assert (decoded.width, decoded.height) == (800, 600)
    assert np.abs(decoded.pixels.astype(int) - as_seen(large[:1, :1], SRGB, 1.0)).max() <= 1


def damaged() -> Iterator[bytes]:
    """Profiles with wrong bytes, cut ones, and those that make white black."""
    chance = random.Random(1)
    whole = [matrix_profile(*SPACES["P3"]), profiles.cmyk_profile(), profiles.grey_profile(1.8)]
    whole += [profiles.table_profile(b"RGB ", np.zeros((2, 2, 2, 3)))]
    for profile in whole:
        yield profile[: len(profile) // 2]
        for _ in range(60):
            body = bytearray(profile)
            for _ in range(chance.choice((1, 4, 30))):
                body[chance.randrange(len(body))] = chance.randrange(256)
            yield bytes(body)


def test_no_malformed_profile_decides_against_pixels() -> None:
    for profile in damaged():
        for form in ("PNG", "JPEG"):
            assert decode(encode(PICTURE, form, profile), MAX_PIXELS, 40).width == 60
        assert decode(inks(profile, "JPEG"), MAX_PIXELS, 40).width == 80


@pytest.mark.parametrize(
    "profile",
    [
        profiles.table_profile(b"RGB ", np.zeros((2, 2, 2, 3))),
        matrix_profile(np.zeros((3, 3)), 2.2),
        matrix_profile(SRGB / 8, 2.2),
        matrix_profile(SRGB, 0.0),
    ],
    ids=["black table", "no light", "little light", "all white"],
)
def test_a_profile_that_makes_no_sense_is_ignored(profile: bytes) -> None:
    assert levels_off(encode(PICTURE, "PNG", profile), PICTURE) == 0


def test_littlecms_own_srgb_is_known() -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert not srgb.matters(profile)
