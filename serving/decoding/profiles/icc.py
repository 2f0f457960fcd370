"""What an ICC profile says: which colours it is for, and whether it is sRGB by another name.

Read without a library (ICC.1:2010), with bounds, since this runs in the server's own threads. Only
profiles of a matrix and three curves are understood; LittleCMS converts with all others as well.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

JPEG_PREFIX, JPEG_HEAD_BYTES = b"ICC_PROFILE\0", 14
"""How the segments of a JPEG begin that hold a profile: prefix, number and count."""

Curve = NDArray[np.float64]
"""The light of 256 levels, 0 to 1."""

HEADER_BYTES, TAG_BYTES = 128, 12
MAX_BYTES = 4 * 2**20
"""The largest profile that is looked at; those of printing machines have 0.5 to 3 MB."""

MAX_MATRIX_BYTES = 2**16
"""The largest profile that is compared with sRGB: three curves of 4,096 values have 25 kB."""

MAX_TAGS = 256
MATRIX_TAGS = (b"rXYZ", b"gXYZ", b"bXYZ")
CURVE_TAGS = (b"rTRC", b"gTRC", b"bTRC")
TABLE_TAGS = (b"A2B0", b"A2B1", b"A2B2")
PROGRAM_TAGS = (b"D2B0", b"D2B1", b"D2B2", b"D2B3")
"""They hold programs of any length, and every reader may ignore them."""

PARAMETERS = {0: 1, 1: 3, 2: 4, 3: 5, 4: 7}
"""The numbers of a parametric curve, by its type."""

SRGB_MATRIX = np.array(
    [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]]
)
"""From red, green and blue light to XYZ, for the profiles' white, D50."""

MAX_LEVELS_OFF = 3
"""A profile that moves no colour by more levels than this, of 255, is taken for sRGB. Its copies
differ by up to 2; with a gamma of 2.2, dark greys move by 7."""

LEVELS = np.arange(256) / 255
PROBES = np.stack(np.meshgrid(*[np.arange(0, 256, 17)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
"""16 levels of each channel."""


def join_parts(parts: Sequence[bytes]) -> bytes:
    """The profile in a JPEG's segments, which are numbered from one; empty if some are missing."""
    ordered = sorted(part for part in parts if len(part) > JPEG_HEAD_BYTES)
    numbers = [(part[12], part[13]) for part in ordered]
    if numbers != [(number + 1, len(parts)) for number in range(len(parts))]:
        return b""
    return b"".join(part[JPEG_HEAD_BYTES:] for part in ordered)


def colour_space(profile: bytes) -> bytes:
    """`RGB `, `GRAY`, `CMYK` or another one; empty if this is not an image's profile."""
    is_profile = (
        HEADER_BYTES + 4 <= len(profile) <= MAX_BYTES
        and profile[36:40] == b"acsp"
        and profile[12:16] in (b"mntr", b"scnr", b"prtr", b"spac")
    )
    return profile[16:20] if is_profile else b""


def is_srgb(profile: bytes) -> bool:
    """Whether converting changes next to nothing. At most 2 MB of profiles are remembered."""
    return len(profile) <= MAX_MATRIX_BYTES and _changes_little(profile)


@lru_cache(maxsize=32)
def _changes_little(profile: bytes) -> bool:
    if colour_space(profile) != b"RGB ":
        return False
    try:
        light = _probe_light(profile)
    except ValueError:
        return False
    return bool(np.abs(encode(light) * 255 - PROBES).max() <= MAX_LEVELS_OFF)


def encode(light: NDArray[np.float64]) -> NDArray[np.float64]:
    """Light of 0 to 1 as sRGB's levels of 0 to 1 (IEC 61966-2-1)."""
    light = light.clip(0, 1)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def without_programs(profile: bytes) -> bytes:
    """Hide the tags that LittleCMS would otherwise prefer, and whose cost has no bound."""
    tags = _tag_positions(profile)
    if not any(profile[at : at + 4] in PROGRAM_TAGS for at in tags):
        return profile
    changed = bytearray(profile)
    for at in tags:
        if changed[at : at + 4] in PROGRAM_TAGS:
            changed[at : at + 4] = b"none"
    return bytes(changed)


def _tag_positions(profile: bytes) -> range:
    count = min(int.from_bytes(profile[HEADER_BYTES : HEADER_BYTES + 4], "big"), MAX_TAGS)
    return range(HEADER_BYTES + 4, HEADER_BYTES + 4 + count * TAG_BYTES, TAG_BYTES)


def _probe_light(profile: bytes) -> NDArray[np.float64]:
    """The probes' light in sRGB's primaries. Raises ValueError if there is no such matrix."""
    tags = {}
    for at in _tag_positions(profile):
        start, size = (
            int.from_bytes(profile[begin : begin + 4], "big") for begin in (at + 4, at + 8)
        )
        tags[profile[at : at + 4]] = profile[start : start + size]
    if tags.keys() & {*TABLE_TAGS, *PROGRAM_TAGS} or profile[20:24] != b"XYZ ":
        raise ValueError("tables come before the matrix")
    columns = [_fixed(tags.get(name, b"")[8:20], 3) for name in MATRIX_TAGS]
    curves = [read_curve(tags.get(name, b"")) for name in CURVE_TAGS]
    linear = np.stack([curve[PROBES[:, axis]] for axis, curve in enumerate(curves)], axis=1)
    xyz: NDArray[np.float64] = linear @ np.stack(columns)
    return xyz @ np.linalg.inv(SRGB_MATRIX).T


def _fixed(content: bytes, count: int) -> NDArray[np.float64]:
    """Numbers with 16 bits before and behind the point. Raises ValueError if there are fewer."""
    if len(content) < 4 * count:
        raise ValueError("a tag is too short")
    return np.frombuffer(content, ">i4", count) / 65_536


def read_curve(tag: bytes) -> Curve:
    """Raises ValueError if it is malformed."""
    if tag[:4] == b"para":
        return _parametric_curve(tag)
    count = int.from_bytes(tag[8:12], "big")
    if tag[:4] != b"curv" or len(tag) < 12 + 2 * count:
        raise ValueError("not a curve")
    values = np.frombuffer(tag, ">u2", count, 12)
    if count < 2:
        exponent = values[0] / 256 if count else 1.0
        return np.asarray(LEVELS**exponent, np.float64)
    return np.interp(LEVELS, np.linspace(0, 1, count), values / 65_535)


def _parametric_curve(tag: bytes) -> Curve:
    """ICC.1:2010, table 65: (ax + b) ** g + e from d on, cx + f below."""
    kind = int.from_bytes(tag[8:10], "big")
    if kind not in PARAMETERS:
        raise ValueError("not a curve")
    values = [float(value) for value in _fixed(tag[12:], PARAMETERS[kind])]
    g, a, b, c, d, e, f = values + [0.0] * (7 - len(values))
    if kind == 0:
        a = 1.0
    elif kind in (1, 2):  # below -b / a it is the constant
        a = a or 1.0
        c, d, e, f = 0.0, -b / a, c, c
    with np.errstate(all="ignore"):
        power = np.maximum(a * LEVELS + b, 0) ** g + e
        return np.nan_to_num(np.where(d <= LEVELS, power, c * LEVELS + f)).clip(0, 1)
