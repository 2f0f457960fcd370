"""Colours that a file states in numbers rather than in an ICC profile: a profile is made of them.

PNG has cICP, gAMA and cHRM (PNG specification, third edition, 13.14), and HEIF has nclx, with the
codes of ITU-T H.273. What is sRGB or unknown has no profile.
"""

import struct
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from serving.decoding.profiles import icc

Chromaticities = Sequence[float]
"""x and y of white, red, green and blue."""

D65, C, DCI = (0.3127, 0.329), (0.31, 0.316), (0.314, 0.351)
SRGB_PRIMARIES = (*D65, 0.64, 0.33, 0.3, 0.6, 0.15, 0.06)
PRIMARIES: Mapping[int, Chromaticities] = {
    1: SRGB_PRIMARIES,
    2: SRGB_PRIMARIES,
    4: (*C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),
    5: (*D65, 0.64, 0.33, 0.29, 0.6, 0.15, 0.06),
    6: (*D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    7: (*D65, 0.63, 0.34, 0.31, 0.595, 0.155, 0.07),
    8: (*C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),
    9: (*D65, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046),
    11: (*DCI, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    12: (*D65, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06),
    22: (*D65, 0.63, 0.34, 0.295, 0.605, 0.155, 0.077),
}
"""H.273, table 2; 2 is unspecified."""

GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}
PQ, HLG = 16, 18
"""H.273, table 3. The other curves are those of video, which is shown as sRGB is."""

REFERENCE_WHITE_NITS = 203
"""What is white on paper; brighter light is clipped to it (ITU-R BT.2408)."""

TABLE_VALUES = 1_024

USUAL_GAMMAS = (0.43, 0.48)
"""Of a PNG: about 1 / 2.2, which is how sRGB is stated."""

GAMMA_LIMITS = (0.1, 5.0)

UNSPECIFIED = 2
"""Of colour primaries (ITU-T H.273, table 2)."""

MAX_FIXED = 32_767
"""What a profile can hold: its numbers are s15Fixed16 (ICC.1, section 4.6)."""

D50 = np.array([0.9642, 1.0, 0.8249])
BRADFORD = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)


def png_profile(profile: bytes, chunks: Mapping[bytes, bytes]) -> bytes:
    """The profile that counts: cICP comes before iCCP, sRGB, and gAMA with cHRM."""
    codes = chunks.get(b"cICP", b"")
    if len(codes) == 4 and codes[0] in PRIMARIES and codes[0] != UNSPECIFIED:
        return h273_profile(codes[0], codes[1])
    if icc.colour_space(profile) or b"sRGB" in chunks or len(chunks.get(b"gAMA", b"")) != 4:
        return profile
    gamma = int.from_bytes(chunks[b"gAMA"], "big") / 100_000
    if not GAMMA_LIMITS[0] <= gamma <= GAMMA_LIMITS[1]:
        return b""
    stated = chunks.get(b"cHRM", b"")
    chromaticities: Chromaticities = SRGB_PRIMARIES
    if len(stated) == 32:
        chromaticities = [value / 100_000 for value in struct.unpack(">8I", stated)]
    is_usual = USUAL_GAMMAS[0] <= gamma <= USUAL_GAMMAS[1]
    return _make_profile(chromaticities, _srgb_curve() if is_usual else _gamma_curve(1 / gamma))


def h273_profile(primaries: int, transfer: int) -> bytes:
    """Empty for sRGB, and for primaries that are unknown."""
    is_plain = transfer not in (*GAMMAS, PQ, HLG)
    if primaries not in PRIMARIES or (is_plain and PRIMARIES[primaries] == SRGB_PRIMARIES):
        return b""
    if is_plain:
        curve = _srgb_curve()
    elif transfer in GAMMAS:
        curve = _gamma_curve(GAMMAS[transfer])
    else:
        curve = _nits_curve(transfer)
    return _make_profile(PRIMARIES[primaries], curve)


def _srgb_curve() -> bytes:
    numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    return b"para\0\0\0\0\0\3\0\0" + _fixed(numbers)


def _gamma_curve(gamma: float) -> bytes:
    return b"para\0\0\0\0\0\0\0\0" + _fixed((gamma,))


def _nits_curve(transfer: int) -> bytes:
    """Of SMPTE ST 2084, or of ITU-R BT.2100's hybrid log-gamma on a display of 1000 nits."""
    levels = np.linspace(0, 1, TABLE_VALUES)
    if transfer == PQ:
        root = levels ** (32 / 2523)
        nits = 10_000 * (np.maximum(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (
            8192 / 1305
        )
    else:
        bright = (np.exp((levels - 0.55991073) / 0.17883277) + 0.28466892) / 12
        nits = 1_000 * np.where(levels <= 0.5, levels**2 / 3, bright) ** 1.2
    light = (nits / REFERENCE_WHITE_NITS).clip(0, 1)
    values: bytes = np.rint(light * 65_535).astype(">u2").tobytes()
    return struct.pack(">4s4xI", b"curv", TABLE_VALUES) + values


def _make_profile(chromaticities: Chromaticities, curve: bytes) -> bytes:
    """Version 4.2, of a display; empty if the chromaticities are not of real colours."""
    matrix = _matrix(chromaticities)
    if matrix is None:
        return b""
    tags = {
        name: b"XYZ \0\0\0\0" + _fixed(matrix[:, at]) for at, name in enumerate(icc.MATRIX_TAGS)
    }
    tags |= {b"wtpt": b"XYZ \0\0\0\0" + _fixed(D50)} | dict.fromkeys(icc.CURVE_TAGS, curve)
    start = icc.HEADER_BYTES + 4 + icc.TAG_BYTES * len(tags)
    table, body = len(tags).to_bytes(4, "big"), b""
    for name, content in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    size = struct.pack(">I4xI", start + len(body), 0x04200000)
    head = size + b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28) + _fixed(D50) + bytes(48)
    return head + table + body


def _matrix(chromaticities: Chromaticities) -> NDArray[np.float64] | None:
    """From red, green and blue light to XYZ, adapted to D50 as Bradford has it."""
    points = np.array(chromaticities).reshape(4, 2)
    if points.min() < 0 or points[:, 1].min() < 0.001 or points.max() > 1:
        return None
    white, *primaries = [np.array([x / y, 1, (1 - x - y) / y]) for x, y in points]
    columns = np.stack(primaries, axis=1)
    if abs(np.linalg.det(columns)) < 1e-6:
        return None
    responses = BRADFORD @ white
    if responses.min() <= 0:
        return None
    adapt = np.linalg.inv(BRADFORD) @ np.diag(BRADFORD @ D50 / responses) @ BRADFORD
    adapted = np.asarray(adapt @ (columns * np.linalg.solve(columns, white)), np.float64)
    return adapted if np.abs(adapted).max() < MAX_FIXED else None


def _fixed(values: Sequence[float] | NDArray[np.float64]) -> bytes:
    return b"".join(struct.pack(">i", round(value * 65_536)) for value in values)
