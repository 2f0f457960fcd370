"""JPEG files of any variant, written from the planes of their components (ITU-T T.81).

All codes have the same length, so that no table of the standard is needed.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

SOI, EOI = b"\xff\xd8", b"\xff\xd9"
BASELINE, EXTENDED, PROGRESSIVE = 0xC0, 0xC1, 0xC2
STEP = 2
"""Of quantisation, of all coefficients."""

DC_BITS, AC_BITS = 4, 8
AC_SYMBOLS = (0x00, 0xF0, *(run << 4 | size for run in range(16) for size in range(1, 11)))
AC_CODES = {symbol: code for code, symbol in enumerate(AC_SYMBOLS)}
END_OF_BLOCK, SIXTEEN_ZEROS = 0x00, 0xF0

FREQUENCIES = np.arange(8)
COSINES = np.cos((2 * FREQUENCIES[np.newaxis] + 1) * FREQUENCIES[:, np.newaxis] * np.pi / 16) / 2
COSINES[0] /= np.sqrt(2)
ZIGZAG = sorted(
    ((row, column) for row in range(8) for column in range(8)),
    key=lambda at: (sum(at), at[0] if sum(at) % 2 else at[1]),
)


@dataclass(frozen=True)
class Component:
    plane: NDArray[np.uint8]
    """At its own resolution."""
    factors: tuple[int, int] = (1, 1)
    """Of sampling, horizontally and vertically."""
    id: int = 1


@dataclass(frozen=True)
class Layout:
    frame: int = BASELINE
    bits: int = 8
    interleaved: bool = True
    restart: int = 0
    """Units between two restart markers; 0 for none."""
    deep_table: bool = False
    """Whether the quantisation table has sixteen bits a value."""


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def jfif() -> bytes:
    return segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")


def adobe(transform: int) -> bytes:
    return segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, transform))


def file_of(
    size: tuple[int, int], components: Sequence[Component], layout: Layout, *before: bytes
) -> bytes:
    """`size` is width and height; `before` are whole segments in front of the frame."""
    width, height = size
    table = (
        struct.pack(">B64H", 0x10, *[STEP] * 64) if layout.deep_table else bytes((0, *[STEP] * 64))
    )
    frame = struct.pack(">BHHB", layout.bits, height, width, len(components))
    for component in components:
        across, down = component.factors
        frame += bytes((component.id, across << 4 | down, 0))
    codes = bytes((0x00, 0, 0, 0, 12, *[0] * 12, *range(12)))
    codes += bytes((0x10, *[0] * 7, len(AC_SYMBOLS), *[0] * 8, *AC_SYMBOLS))
    head = segment(0xDB, table) + segment(layout.frame, frame) + segment(0xC4, codes)
    if layout.restart:
        head += segment(0xDD, struct.pack(">H", layout.restart))
    return SOI + b"".join(before) + head + b"".join(_scans(size, components, layout)) + EOI


def _scans(
    size: tuple[int, int], components: Sequence[Component], layout: Layout
) -> Iterator[bytes]:
    everything = list(range(len(components)))
    singly = [[number] for number in everything]
    if layout.frame == PROGRESSIVE:
        yield _scan(size, components, everything, layout, (0, 0))
        for chosen in singly:
            yield _scan(size, components, chosen, layout, (1, 63))
    else:
        for chosen in [everything] if layout.interleaved else singly:
            yield _scan(size, components, chosen, layout, (0, 63))


def _scan(
    size: tuple[int, int],
    components: Sequence[Component],
    chosen: Sequence[int],
    layout: Layout,
    band: tuple[int, int],
) -> bytes:
    """One scan over a band of coefficients."""
    head = bytes((len(chosen),)) + b"".join(bytes((components[number].id, 0)) for number in chosen)
    scan = segment(0xDA, head + bytes((*band, 0)))
    blocks = {number: _coefficients(size, components, number) for number in chosen}
    last, bits = dict.fromkeys(chosen, 0), ""
    for count, unit in enumerate(_units(size, components, chosen)):
        if layout.restart and count and count % layout.restart == 0:
            marker = bytes((0xFF, 0xD0 + (count // layout.restart - 1) % 8))
            scan, bits = scan + _stuff(bits) + marker, ""
            last = dict.fromkeys(chosen, 0)
        for number, row, column in unit:
            block = blocks[number][row, column]
            if band[0] == 0:
                bits += _number(int(block[0]) - last[number], DC_BITS)
                last[number] = int(block[0])
            if band[1]:
                bits += _rest(block[max(1, band[0]) :].tolist())
    return scan + _stuff(bits)


def _units(
    size: tuple[int, int], components: Sequence[Component], chosen: Sequence[int]
) -> Iterator[list[tuple[int, int, int]]]:
    """The component, row and column of the blocks of each unit, in the order of the scan."""
    most = [max(component.factors[axis] for component in components) for axis in (0, 1)]
    if len(chosen) == 1:
        factors = components[chosen[0]].factors
        across, down = (
            ceil(ceil(side * factor / top) / 8)
            for side, factor, top in zip(size, factors, most, strict=True)
        )
        for row in range(down):
            for column in range(across):
                yield [(chosen[0], row, column)]
        return
    across, down = (ceil(side / 8 / top) for side, top in zip(size, most, strict=True))
    for row in range(down):
        for column in range(across):
            yield [
                (number, row * factors[1] + below, column * factors[0] + right)
                for number in chosen
                for factors in [components[number].factors]
                for below in range(factors[1])
                for right in range(factors[0])
            ]


def _coefficients(
    size: tuple[int, int], components: Sequence[Component], number: int
) -> NDArray[np.int_]:
    """Rows x columns x 64, quantised, in zigzag order; the edges are repeated."""
    component = components[number]
    most = [max(other.factors[axis] for other in components) for axis in (0, 1)]
    across, down = (
        ceil(side / 8 / top) * factor
        for side, factor, top in zip(size, component.factors, most, strict=True)
    )
    height, width = component.plane.shape
    plane = np.pad(
        component.plane, ((0, max(0, down * 8 - height)), (0, max(0, across * 8 - width))), "edge"
    )
    blocks = plane.reshape(down, 8, across, 8).swapaxes(1, 2).astype(float) - 128
    levels = np.rint(COSINES @ blocks @ COSINES.T / STEP).astype(int)
    return np.stack([levels[:, :, row, column] for row, column in ZIGZAG], axis=2)


def _number(value: int, code_bits: int, run: int = 0) -> str:
    """The code of a size, and the value in so many bits."""
    size = abs(value).bit_length()
    code = size if code_bits == DC_BITS else AC_CODES[run << 4 | size]
    bits = value if value >= 0 else value + (1 << size) - 1
    return f"{code:0{code_bits}b}" + (f"{bits:0{size}b}" if size else "")


def _rest(values: Sequence[int]) -> str:
    bits, run = "", 0
    while values and values[-1] == 0:
        values = values[:-1]
    for value in values:
        if value == 0:
            run += 1
            continue
        bits += f"{AC_CODES[SIXTEEN_ZEROS]:0{AC_BITS}b}" * (run // 16)
        bits += _number(value, AC_BITS, run % 16)
        run = 0
    return bits + (f"{AC_CODES[END_OF_BLOCK]:0{AC_BITS}b}" if len(values) < 63 else "")


def _stuff(bits: str) -> bytes:
    padded = bits + "1" * (-len(bits) % 8)
    packed = int(padded, 2).to_bytes(len(padded) // 8, "big") if padded else b""
    return packed.replace(b"\xff", b"\xff\0")
