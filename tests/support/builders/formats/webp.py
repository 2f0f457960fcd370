"""WebP files of any variant, written from their parts (RFC 9649)."""

import struct

import numpy as np
from numpy.typing import NDArray

LITERAL_BITS = 8
GREEN_SYMBOLS = 280
"""256 values, and 24 lengths of copies, which are not used."""


def riff(*chunks: bytes) -> bytes:
    content = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(content)) + content


def chunk(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def extended(width: int, height: int, flags: int) -> bytes:
    """VP8X: flags are 32 for a profile, 16 for alpha, 8 for EXIF, 4 for XMP, 2 for animation."""
    return chunk(b"VP8X", bytes((flags, 0, 0, 0)) + _three(width - 1) + _three(height - 1))


def frame(left: int, top: int, width: int, height: int, *chunks: bytes) -> bytes:
    """ANMF. The place has to be even."""
    head = _three(left // 2) + _three(top // 2) + _three(width - 1) + _three(height - 1)
    return chunk(b"ANMF", head + _three(100) + b"\2" + b"".join(chunks))


def lossless(pixels: NDArray[np.uint8]) -> bytes:
    """VP8L of H x W x 3 or 4: every value is a literal of 8 bits."""
    height, width, channels = pixels.shape
    bits = _Writer()
    bits.write(0x2F, 8)
    bits.write(width - 1, 14)
    bits.write(height - 1, 14)
    bits.write(channels == 4, 1)
    bits.write(0, 3 + 1 + 1 + 1)  # version; no transform, no colour cache, one group of codes
    for symbols in (GREEN_SYMBOLS, 256, 256, 256):
        _write_code(bits, symbols)
    bits.write(0b001, 3)  # distances: a simple code of one symbol of one bit
    bits.write(0, 1)
    alpha = pixels[:, :, 3] if channels == 4 else np.full((height, width), 255, np.uint8)
    for values in np.dstack([pixels[:, :, 1], pixels[:, :, 0], pixels[:, :, 2], alpha]).reshape(-1):
        bits.write(int(f"{values:08b}"[::-1], 2), LITERAL_BITS)
    return chunk(b"VP8L", bits.close())


def _write_code(bits: "_Writer", symbols: int) -> None:
    """256 symbols of eight bits each, and none of the rest."""
    bits.write(0, 1)  # no simple code
    order = (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8)
    bits.write(len(order) - 4, 4)
    for length in order:
        bits.write(length in (0, 8), 3)  # one bit for "absent", one for "eight bits"
    bits.write(0, 1)  # all symbols have a length
    for symbol in range(symbols):
        bits.write(symbol < 256, 1)


def _three(value: int) -> bytes:
    return value.to_bytes(3, "little")


class _Writer:
    """Numbers of some bits each, the lowest first."""

    def __init__(self) -> None:
        self._value, self._count = 0, 0

    def write(self, value: int, width: int) -> None:
        self._value |= int(value) << self._count
        self._count += width

    def close(self) -> bytes:
        return self._value.to_bytes((self._count + 7) // 8, "little")
