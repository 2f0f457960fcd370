import numpy as np
import pytest

from serving.decoding.profiles import icc
from tests.support.builders import profiles
from tests.support.builders.profiles import SPACES, SRGB, matrix_profile

LIKE_SRGB = {
    "table": profiles.srgb_profile(),
    "small table": profiles.srgb_profile(256),
    "parameters": profiles.parametric_srgb_profile(),
    "rounded matrix": profiles.parametric_srgb_profile().replace(
        profiles.xyz(SRGB[:, 0]), profiles.xyz(SRGB[:, 0] + 0.0001)
    ),
}


@pytest.mark.parametrize("name", LIKE_SRGB)
def test_srgb_is_known_however_it_is_written(name: str) -> None:
    assert icc.is_srgb(LIKE_SRGB[name])


@pytest.mark.parametrize("name", SPACES)
def test_another_space_is_not_srgb(name: str) -> None:
    assert not icc.is_srgb(matrix_profile(*SPACES[name]))


def test_a_gamma_is_not_srgbs_curve() -> None:
    assert not icc.is_srgb(matrix_profile(SRGB, 2.2))


def test_grey_and_inks_are_not_srgb() -> None:
    assert not icc.is_srgb(profiles.grey_profile(2.2))
    assert not icc.is_srgb(profiles.cmyk_profile())


def test_a_table_beside_the_curves_of_srgb_counts() -> None:
    table = np.zeros((2, 2, 2, 3))
    with_table = profiles.table_profile(b"RGB ", table)
    lut = with_table[with_table.index(b"mft2") :]
    tags = {name: profiles.xyz(SRGB[:, at]) for at, name in enumerate(profiles.COLUMNS)}
    tags |= dict.fromkeys(profiles.CURVES, profiles.curve(2.2)) | {b"A2B0": lut}
    assert not icc.is_srgb(profiles.profile(b"RGB ", b"XYZ ", tags))


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        (0, (2.2,)),
        (1, (2.2, 0.9, 0.1)),
        (2, (2.2, 0.8, 0.1, 0.05)),
        (3, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)),
        (4, (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045, 0.01, 0.02)),
    ],
)
def test_parametric_curves_are_those_of_littlecms(kind: int, numbers: tuple[float, ...]) -> None:
    """LittleCMS converts grey with the same curve; the two agree to a level."""
    from serving.decoding.profiles import srgb

    para = (
        b"para\0\0\0\0" + kind.to_bytes(2, "big") + b"\0\0" + b"".join(map(profiles.fixed, numbers))
    )
    tags = {name: profiles.xyz(SRGB[:, at]) for at, name in enumerate(profiles.COLUMNS)}
    written = profiles.profile(b"RGB ", b"XYZ ", tags | dict.fromkeys(profiles.CURVES, para))
    ramp = np.arange(256, dtype=np.uint8)[np.newaxis, :, np.newaxis].repeat(3, axis=2)
    expected = profiles.to_levels(icc.read_curve(para)).astype(int)
    assert np.abs(srgb.to_srgb(ramp, written, 1)[0, :, 0] - expected).max() <= 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"acsp",
        bytes(200),
        profiles.srgb_profile()[:131],
        profiles.srgb_profile()[:400],
        profiles.srgb_profile().replace(b"acsp", b"none"),
        profiles.srgb_profile().replace(b"rTRC", b"xTRC"),
        profiles.srgb_profile().replace(b"rXYZ", b"xXYZ"),
        profiles.srgb_profile().replace(b"curv\0\0\0\0", b"curv\0\0\0\0\xff"),
        profiles.parametric_srgb_profile().replace(b"para\0\0\0\0\0\3", b"para\0\0\0\0\0\x09"),
        profiles.srgb_profile() + bytes(icc.MAX_BYTES),
    ],
    ids=[
        *("empty", "mark", "zeros", "head", "cut", "unmarked", "no curve", "no column"),
        *("endless curve", "unknown function", "too large"),
    ],
)
def test_a_malformed_profile_is_not_srgb_and_raises_nothing(body: bytes) -> None:
    assert not icc.is_srgb(body)


def test_the_segments_of_a_jpeg_are_joined_by_their_numbers() -> None:
    first, second = (
        icc.JPEG_PREFIX + bytes((number, 2)) + part for number, part in [(1, b"a"), (2, b"b")]
    )
    assert icc.join_parts([second, first]) == b"ab"
    for parts in ([first], [second], [first, first], [first, second, second], []):
        assert icc.join_parts(parts) == b""


def test_programs_are_hidden_from_littlecms() -> None:
    usual = profiles.profile(b"RGB ", b"XYZ ", {b"D2B0": b"mpet", b"rTRC": b"curv"})
    hidden = icc.without_programs(usual)
    assert len(hidden) == len(usual)
    assert b"D2B0" in usual
    assert b"D2B0" not in hidden
    assert icc.without_programs(hidden) is hidden
