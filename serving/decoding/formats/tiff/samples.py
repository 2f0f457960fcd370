"""From the bytes of rows to the numbers of pixels, and from these to levels of 0 to 255."""

from math import ceil, gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.decoding.formats.tiff.layout import (
    FLOAT,
    FLOATING_POINT,
    HORIZONTAL,
    SIGNED,
    Layout,
)

Values = NDArray[Any]
"""Rows x columns x channels, of the type in the file, or of the next larger one."""


def read_values(rows: NDArray[np.uint8], layout: Layout) -> Values:
    """Of a plane, or of all channels together. Chroma is as large as luma."""
    bits, channels = layout.samples.bits, 1 if layout.is_planar else layout.samples.count
    if layout.subsampling != (1, 1):
        return _spread_chroma(rows, *layout.subsampling)
    count = layout.tile_width * channels
    shape = (len(rows), layout.tile_width, channels)
    if layout.predictor == FLOATING_POINT:
        return _join_float_bytes(rows, bits // 8, channels).reshape(shape)
    if bits == 24:
        first, middle, last = np.moveaxis(rows.reshape(len(rows), count, 3), 2, 0).astype(np.uint32)
        low, high = (first, last) if layout.directory.order == "<" else (last, first)
        return np.asarray(low | middle << 8 | high << 16).reshape(shape)
    if bits not in (8, 16, 32, 64):
        return unpack_bits(rows, bits, count).reshape(shape)
    order, size = layout.directory.order, bits // 8
    values: NDArray[Any] = rows.view(f"{order}u{size}").reshape(shape)
    if layout.predictor == HORIZONTAL:
        values = np.add.accumulate(values, axis=1, dtype=f"u{size}")
    kind = {FLOAT: "f", SIGNED: "i"}.get(layout.samples.format, "u")
    return values.view(values.dtype.str.replace("u", kind))


def unpack_bits(rows: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.unsignedinteger]:
    """`count` numbers of each row, the highest bit first: rows x count."""
    if bits == 1:
        return np.unpackbits(rows, axis=1, count=count)
    size, numbers = bits // gcd(bits, 8), 8 // gcd(bits, 8)  # bytes that hold whole numbers
    periods = ceil(count / numbers)
    padded = np.zeros((len(rows), periods * size), np.uint8)
    padded[:, : rows.shape[1]] = rows[:, : periods * size]
    cells = padded.reshape(len(rows), periods, size)
    wide, narrow = {0: ("u2", "u1"), 1: ("u4", "u2")}.get((bits - 1) // 8, ("u8", "u4"))
    unpacked = np.empty((len(rows), periods, numbers), narrow)
    for number in range(numbers):
        first, last = number * bits // 8, ((number + 1) * bits - 1) // 8
        word = cells[:, :, first].astype(wide)
        for byte in range(first + 1, last + 1):
            word = word << 8 | cells[:, :, byte]
        word >>= 7 - ((number + 1) * bits - 1) % 8
        unpacked[:, :, number] = word & ((1 << bits) - 1)
    return unpacked.reshape(len(rows), -1)[:, :count]


def _join_float_bytes(rows: NDArray[np.uint8], size: int, channels: int) -> Values:
    """Undo the predictor of floats: differences of bytes, the highest bytes of a row first."""
    count = rows.shape[1] // size
    bytes_ = np.add.accumulate(rows.reshape(len(rows), -1, channels), axis=1, dtype=np.uint8)
    planes = bytes_.reshape(len(rows), size, count)
    return np.ascontiguousarray(planes.transpose(0, 2, 1)).view(f">f{size}")


def _spread_chroma(rows: NDArray[np.uint8], across: int, down: int) -> Values:
    """Units of `across` x `down` luma values and two of chroma: rows x columns x 3."""
    units = rows.reshape(len(rows), -1, across * down + 2)
    luma = units[:, :, :-2].reshape(len(rows), -1, down, across).transpose(0, 2, 1, 3)
    height, width = len(rows) * down, units.shape[1] * across
    values = np.empty((height, width, 3), np.uint8)
    values[:, :, 0] = luma.reshape(height, width)
    values[:, :, 1:] = units[:, :, -2:].repeat(down, axis=0).repeat(across, axis=1)
    return values


def to_levels(values: Values, bits: int, white: float | None) -> NDArray[np.uint8]:
    """The highest eight bits of unsigned numbers, or a share of `white` where there is one."""
    if white is not None:
        with np.errstate(all="ignore"):
            shares = np.nan_to_num(values.astype(np.float32), copy=False, posinf=0, neginf=0)
            levels = np.rint(np.clip(shares * np.float32(255 / white), 0, 255))
            return np.asarray(levels, np.uint8)
    if bits < 8:
        top = (1 << bits) - 1
        table = np.array([round(value * 255 / top) for value in range(top + 1)], np.uint8)
        return np.asarray(table[values])
    if bits == 8:
        return values.view(np.uint8)
    if bits == 16:
        is_little = values.dtype.newbyteorder("<") == values.dtype
        return values.view(np.uint8).reshape(*values.shape, 2)[..., int(is_little)]
    return np.asarray(values >> (bits - 8), np.uint8)
