import io
import struct
import zlib
from collections.abc import Mapping

import numpy as np
import pillow_heif
import pytest
from PIL import Image

from serving.decoding.decode import decode
from serving.decoding.profiles import coded, icc
from tests.support.builders import profiles
from tests.support.builders.profiles import P3, SRGB, Pixels, as_seen

PICTURE = np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)
RAMP = np.arange(256, dtype=np.uint8)[np.newaxis, :, np.newaxis].repeat(3, axis=2)
WHOLE_SIDE = 65_536
MAX_PIXELS = 50_000_000

LINEAR, USUAL = (100_000).to_bytes(4, "big"), (45_455).to_bytes(4, "big")
OF_SRGB = (0.3127, 0.329, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
OF_P3 = (0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)


def chromaticities(*values: float) -> bytes:
    return struct.pack(">8I", *(round(value * 100_000) for value in values))


def png(pixels: Pixels, chunks: Mapping[bytes, bytes], profile: bytes = b"") -> bytes:
    """With these chunks behind the header."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", icc_profile=profile)
    body = stream.getvalue()
    made = b"".join(
        len(content).to_bytes(4, "big")
        + name
        + content
        + zlib.crc32(name + content).to_bytes(4, "big")
        for name, content in chunks.items()
    )
    return body[:33] + made + body[33:]


def seen(body: bytes) -> Pixels:
    return decode(body, MAX_PIXELS, WHOLE_SIDE).pixels


def levels_off(pixels: Pixels, expected: Pixels) -> int:
    return int(np.abs(pixels.astype(int) - expected).max())


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ({b"gAMA": LINEAR}, as_seen(PICTURE, SRGB, 1.0)),
        ({b"gAMA": LINEAR, b"cHRM": chromaticities(*OF_SRGB)}, as_seen(PICTURE, SRGB, 1.0)),
        ({b"gAMA": LINEAR, b"cHRM": chromaticities(*OF_P3)}, as_seen(PICTURE, P3, 1.0)),
        ({b"gAMA": (55_556).to_bytes(4, "big")}, as_seen(PICTURE, SRGB, 1.8)),
        ({b"cICP": bytes((12, 8, 0, 1))}, as_seen(PICTURE, P3, 1.0)),
        ({b"cICP": bytes((1, 4, 0, 1)), b"gAMA": LINEAR}, as_seen(PICTURE, SRGB, 2.2)),
    ],
    ids=["light", "light of sRGB", "light of P3", "1.8", "codes", "codes first"],
)
def test_a_png_is_shown_as_its_chunks_say(chunks: dict[bytes, bytes], expected: Pixels) -> None:
    assert levels_off(seen(png(PICTURE, chunks)), expected) <= 2


@pytest.mark.parametrize(
    "chunks",
    [
        {b"gAMA": USUAL},
        {b"gAMA": USUAL, b"cHRM": chromaticities(*OF_SRGB)},
        {b"sRGB": b"\0", b"gAMA": LINEAR},
        {b"cHRM": chromaticities(*OF_P3)},
        {b"cICP": bytes((1, 13, 0, 1))},
        {b"cICP": bytes((1, 1, 0, 1)), b"gAMA": LINEAR},
        {b"gAMA": bytes(4)},
        {b"gAMA": b"\xff\xff\xff\xff"},
        {b"gAMA": b"\1"},
        {b"gAMA": LINEAR, b"cHRM": bytes(32)},
        {b"gAMA": LINEAR, b"cHRM": chromaticities(*OF_SRGB[:4], *OF_SRGB[2:4], *OF_SRGB[2:4])},
        {b"cICP": bytes((200, 8, 0, 1))},
    ],
    ids=[
        *("usual", "sRGB in numbers", "sRGB chunk", "no gamma", "sRGB codes", "video codes"),
        *("no light", "too much", "short", "no primaries", "one primary", "unknown codes"),
    ],
)
def test_a_png_of_srgb_or_nonsense_is_not_touched(chunks: dict[bytes, bytes]) -> None:
    assert np.array_equal(seen(png(PICTURE, chunks)), PICTURE)


def test_an_icc_profile_comes_before_a_gamma_unless_it_is_malformed() -> None:
    linear = {b"gAMA": LINEAR}
    profile = profiles.matrix_profile(SRGB, 1.8)
    assert levels_off(seen(png(PICTURE, linear, profile)), as_seen(PICTURE, SRGB, 1.8)) <= 2
    assert levels_off(seen(png(PICTURE, linear, b"junk")), as_seen(PICTURE, SRGB, 1.0)) <= 2


def test_srgb_in_numbers_is_known_as_srgb() -> None:
    chunks = {b"gAMA": USUAL, b"cHRM": chromaticities(*OF_SRGB)}
    assert icc.is_srgb(coded.png_profile(b"", chunks))


@pytest.mark.parametrize(
    ("transfer", "level", "nits"),
    [
        (coded.PQ, 0.508078, 100),
        (coded.PQ, 0.580689, 203),
        (coded.HLG, 0.75, 203),
        (coded.HLG, 0.5, 50.7),
    ],
)
def test_light_of_hdr_is_shown_by_its_reference_white(
    transfer: int, level: float, nits: float
) -> None:
    """Levels from ITU-R BT.2408; HLG's half is (1/12) ** 1.2 of 1000 nits."""
    curve = icc.read_curve(coded.h273_profile(1, transfer)[-12 - 2 * coded.TABLE_VALUES :])
    assert np.interp(level, icc.LEVELS, curve) * 203 == pytest.approx(nits, rel=0.03)
    assert curve[-1] == 1


def test_a_png_of_hdr_is_neither_dark_nor_flat() -> None:
    pixels = seen(png(RAMP, {b"cICP": bytes((9, coded.PQ, 0, 1))}))[0, :, 0]
    assert pixels[0] == 0
    assert pixels[148] > 245
    assert (np.diff(pixels.astype(int)) >= 0).all()


@pytest.mark.parametrize("transfer", [13, 8])
def test_a_heif_is_shown_as_its_codes_say(transfer: int) -> None:
    stream = io.BytesIO()
    flat = np.full((64, 64, 3), (200, 60, 90), np.uint8)
    pillow_heif.from_pillow(Image.fromarray(flat)).save(
        stream, quality=-1, chroma=444, color_primaries=12, transfer_characteristics=transfer
    )
    light = (flat / 255) if transfer == 8 else icc.read_curve(coded._srgb_curve())[flat]
    expected = profiles.to_levels(light @ (np.linalg.inv(SRGB) @ P3).T)
    assert levels_off(seen(stream.getvalue())[20:40, 20:40], expected[20:40, 20:40]) <= 4


@pytest.mark.parametrize("kind", ["plain", "icc"])
def test_a_heif_of_srgb_or_with_a_profile(kind: str) -> None:
    stream, flat = io.BytesIO(), np.full((64, 64, 3), (200, 60, 90), np.uint8)
    profile = profiles.matrix_profile(SRGB, 1.0) if kind == "icc" else b""
    image = pillow_heif.from_pillow(Image.fromarray(flat))
    if profile:
        image.info["icc_profile"] = profile
    image.save(stream, quality=-1, chroma=444)
    expected = as_seen(flat, SRGB, 1.0) if profile else flat
    assert levels_off(seen(stream.getvalue())[20:40, 20:40], expected[20:40, 20:40]) <= 4
