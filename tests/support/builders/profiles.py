"""ICC profiles, written by hand, and what viewers see of the pixels that they describe."""

import struct
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Matrix = NDArray[np.float64]

D50 = (0.9642, 1.0, 0.8249)
SRGB = np.array(
    [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.7141]]
)
"""Columns: XYZ of red, green and blue light, for D50."""

P3 = np.array(
    [[0.51512, 0.29198, 0.1571], [0.2412, 0.69225, 0.06657], [-0.00105, 0.04189, 0.78407]]
)
ADOBE = np.array(
    [[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]]
)
PROPHOTO = np.array([[0.79767, 0.13519, 0.03134], [0.28804, 0.71188, 0.00009], [0.0, 0.0, 0.82491]])
SWAPPED = SRGB[:, [1, 0, 2]]

SPACES: Mapping[str, tuple[Matrix, float]] = {
    "linear": (SRGB, 1.0),
    "dark": (SRGB, 4.0),
    "swapped": (SWAPPED, 2.2),
    "ProPhoto": (PROPHOTO, 1.8),
    "P3": (P3, 2.2),
    "Adobe RGB": (ADOBE, 563 / 256),
}
"""Matrix and gamma."""


def matrix_profile(matrix: Matrix, gamma: float) -> bytes:
    tags = {name: xyz(column) for name, column in zip(COLUMNS, matrix.T, strict=True)}
    return profile(b"RGB ", b"XYZ ", tags | dict.fromkeys(CURVES, curve(gamma)))


def srgb_profile(values: int = 1_024) -> bytes:
    """With curves of a table, as HP wrote the first of them."""
    levels = np.linspace(0, 1, values)
    light = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    tags = {name: xyz(column) for name, column in zip(COLUMNS, SRGB.T, strict=True)}
    table = np.rint(light * 65_535).astype(">u2").tobytes()
    return profile(
        b"RGB ",
        b"XYZ ",
        tags | dict.fromkeys(CURVES, b"curv\0\0\0\0" + struct.pack(">I", values) + table),
    )


def parametric_srgb_profile() -> bytes:
    numbers = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    para = b"para\0\0\0\0\0\3\0\0" + b"".join(map(fixed, numbers))
    tags = {name: xyz(column) for name, column in zip(COLUMNS, SRGB.T, strict=True)}
    return profile(b"RGB ", b"XYZ ", tags | dict.fromkeys(CURVES, para))


def grey_profile(gamma: float) -> bytes:
    return profile(b"GRAY", b"XYZ ", {b"kTRC": curve(gamma)})


def table_profile(space: bytes, table: NDArray[np.float64]) -> bytes:
    """With a table of 2 values a channel, from device values to XYZ: (2, ..., 2, 3), 0 to 1."""
    channels = table.ndim - 1
    identity = np.array([0, 65_535], ">u2").tobytes()
    lut = (
        b"mft2\0\0\0\0"
        + bytes((channels, 3, 2, 0))
        + b"".join(map(fixed, np.eye(3).ravel()))
        + struct.pack(">HH", 2, 2)
        + identity * channels
        + np.rint(table * 32_768).astype(">u2").tobytes()
        + identity * 3
    )
    return profile(space, b"XYZ ", dict.fromkeys((b"A2B0", b"A2B1"), lut))


def cmyk_profile() -> bytes:
    """Inks that mix as light filters do: (1 - ink)(1 - black), in sRGB's primaries."""
    inks = np.stack(np.meshgrid(*[[0.0, 1.0]] * 4, indexing="ij"), axis=-1)
    light = (1 - inks[..., :3]) * (1 - inks[..., 3:])
    return table_profile(b"CMYK", (light @ SRGB.T).clip(0, 1))


def profile(space: bytes, connection: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    """Version 2.4, of a display, or of a printer where it is for inks."""
    tags = {b"wtpt": xyz(np.array(D50)), **tags}
    table, body, start = struct.pack(">I", len(tags)), b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        padded = content + bytes(-len(content) % 4)
        table += name + struct.pack(">II", start + len(body), len(content))
        body += padded
    kind = b"prtr" if space == b"CMYK" else b"mntr"
    head = struct.pack(">I", start + len(body)) + b"\0\0\0\0\2\x40\0\0" + kind + space + connection
    head += (
        struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + b"".join(map(fixed, D50))
    )
    return head + bytes(48) + table + body


COLUMNS, CURVES = (b"rXYZ", b"gXYZ", b"bXYZ"), (b"rTRC", b"gTRC", b"bTRC")


def fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65_536))


def xyz(values: NDArray[np.float64]) -> bytes:
    return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))


def curve(gamma: float) -> bytes:
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def as_seen(pixels: Pixels, matrix: Matrix, gamma: float) -> Pixels:
    """sRGB of pixels in another space, by the definitions."""
    light = (pixels / 255) ** gamma @ (np.linalg.inv(SRGB) @ matrix).T
    return to_levels(light)


def to_levels(light: NDArray[np.float64]) -> Pixels:
    """sRGB's levels for light of 0 to 1."""
    light = light.clip(0, 1)
    levels = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(levels * 255), np.uint8)
