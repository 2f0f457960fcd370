"""PNG: Pillow unpacks the samples; palettes and transparent colours are applied here.

Pillow is given the header and the data only (PNG specification, third edition). It rejects a whole
picture for a long text or a short resolution, and compares a transparent colour of 16 bits with
samples of which it has dropped the lower half.
"""

import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from serving.decoding import bounds, orientation
from serving.decoding.colour import STRIP_PIXELS, WHITE, blend_with_white, to_rgb
from serving.decoding.formats.pieces import open_pieces
from serving.decoding.formats.raster import Raster
from serving.decoding.profiles import coded, icc
from serving.decoding.undecodable import unsupported

SIGNATURE = b"\x89PNG\r\n\x1a\n"
END = b"\0\0\0\0IEND\xae\x42\x60\x82"

GREY, RGB, PALETTE = 0, 2, 3
DECISIVE = {b"PLTE": (PALETTE,), b"tRNS": (GREY, RGB, PALETTE)}
"""The chunks that decide pixels, by colour types. Beside others they are suggestions, or errors."""

COLOUR_SPACE = (b"cICP", b"sRGB", b"gAMA", b"cHRM")
METADATA = (b"eXIf", b"iTXt", b"iCCP", b"zTXt", b"tEXt", *COLOUR_SPACE)
KEY_BYTES = {GREY: 2, RGB: 6}
HEADER_BYTES = 13
MAX_SAMPLE_BYTES = 8
"""Of a pixel of four channels of 16 bits."""

SLACK_BYTES = 1_024
UNPACKED_BYTES = 2**20

LOW_BYTES = "RGB;16L"
"""Has Pillow's unpacker keep the second byte of each sample, where it usually keeps the first."""

MAX_CHUNKS = 100_000
"""Passing over one takes less than a microsecond."""

MAX_EXIF_TEXT_BYTES = 2**18
"""Packed metadata is unpacked to so many bytes, at 2.5 ms a megabyte, and only one of each; a
profile to `icc.MAX_BYTES`."""

XMP_KEYWORD = b"XML:com.adobe.xmp\0\0\0"
EXIF_KEYWORDS = (b"Raw profile type exif\0", b"Raw profile type APP1\0")
"""ImageMagick writes EXIF as hexadecimal text, behind an empty line, a name and a length."""

EXIF_TEXT_HEAD_LINES = 3
MALFORMED = b"malformed"
MAX_KEYWORD_BYTES = 80


@dataclass(slots=True)
class _PngParts:
    """What decides the pixels, and what is useful of the rest."""

    decisive: dict[bytes, bytes] = field(default_factory=dict)
    """The content of the first IHDR, PLTE and tRNS."""
    data: list[memoryview] = field(default_factory=list)
    """IDAT chunks, each with its length and checksum."""
    is_intact: bool = True
    """Whether these checksums are right."""
    exif: bytes = b""
    xmp: bytes = b""
    profile: bytes = b""
    has_profile: bool = False
    """Whether there was one, malformed or not: only the first is unpacked."""
    colour_space: dict[bytes, bytes] = field(default_factory=dict)
    """The content of the first cICP, sRGB, gAMA and cHRM."""

    @property
    def colour_type(self) -> int:
        return int.from_bytes(self.decisive[b"IHDR"][9:10], "big")


def decode(body: bytes, max_pixels: int) -> Raster:
    """Raises UndecodableError, or an error of the decoder."""
    chunks = _read_chunks(body)
    header, transparency = chunks.decisive[b"IHDR"], chunks.decisive.get(b"tRNS", b"")
    width, height = (int.from_bytes(header[at : at + 4], "big") for at in (0, 4))
    bounds.check_size(width, height, max_pixels)
    bits, kind = header[8], chunks.colour_type
    if not chunks.is_intact:
        _verify_data(chunks, MAX_SAMPLE_BYTES * width * height + 2 * height + SLACK_BYTES)
    is_keyed = len(transparency) == KEY_BYTES.get(kind)
    low_bytes = _load(chunks, LOW_BYTES) if is_keyed and (kind, bits) == (RGB, 16) else None
    lower = None if low_bytes is None else _matches(low_bytes, list(transparency[1::2]))
    del low_bytes  # up to 200 MB
    image = _load(chunks)
    if kind == PALETTE:
        image.putpalette(_blend_palette(chunks.decisive.get(b"PLTE", b""), transparency).tobytes())
    pixels = to_rgb(image)
    if is_keyed:
        transparent = _matches(image, _key(transparency, kind, bits))
        transparent = transparent if lower is None else transparent & lower
        np.copyto(pixels, WHITE, where=transparent[:, :, np.newaxis])  # without lists of indices
    turned = orientation.read(chunks.exif, chunks.xmp)
    profile = coded.png_profile(chunks.profile, chunks.colour_space)
    return Raster(pixels, width, height, turned, profile)


def _read_chunks(body: bytes) -> _PngParts:
    """Raises ValueError if the file is damaged, EOFError if it ends before its data."""
    chunks, view = _PngParts(), memoryview(body)
    for kind, start, end in _walk(body):
        if kind == b"CgBI":
            raise unsupported("A PNG optimised for iOS (CgBI)")
        if kind != b"IHDR" and b"IHDR" not in chunks.decisive:
            raise ValueError("its header is missing")
        if kind == b"IDAT":
            chunks.is_intact = chunks.is_intact and _is_intact(view, start, end)
            chunks.data.append(view[start - 8 : end + 4])
        elif kind == b"IHDR" or chunks.colour_type in DECISIVE.get(kind, ()):
            chunks.decisive.setdefault(kind, bytes(_verify(view, start, end)))
        elif kind in METADATA:
            with suppress(ValueError, EOFError, zlib.error):  # it may be malformed
                _read_metadata(chunks, kind, view, start, end)
    if not chunks.data or len(chunks.decisive[b"IHDR"]) != HEADER_BYTES:
        raise ValueError("it has no image")
    return chunks


def _walk(body: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The kind of each chunk before IEND, and where its content begins and ends."""
    at, has_data = len(SIGNATURE), False
    for _ in range(MAX_CHUNKS):
        kind, start = body[at + 4 : at + 8], at + 8
        if kind == b"IEND":
            return
        if start > len(body):
            if has_data:  # Pillow says whether it is whole
                return
            raise EOFError
        end = start + int.from_bytes(body[at : at + 4], "big")
        has_data = has_data or kind == b"IDAT"
        yield kind, start, end
        at = end + 4
    raise bounds.too_expensive(f"it has more than {MAX_CHUNKS:,} chunks")


def _is_intact(view: memoryview, start: int, end: int) -> bool:
    """Whether a chunk's checksum is right. A chunk that the file cuts short has none."""
    expected = int.from_bytes(view[end : end + 4], "big")
    return end + 4 > len(view) or zlib.crc32(view[start - 4 : end]) == expected


def _verify(view: memoryview, start: int, end: int) -> memoryview:
    """The content of a chunk. Raises ValueError if its checksum is wrong, EOFError if it is cut."""
    if end + 4 > len(view):
        raise EOFError
    if not _is_intact(view, start, end):
        raise ValueError("a checksum is wrong")
    return view[start:end]


def _verify_data(chunks: _PngParts, raw_bytes: int) -> None:
    """Raises ValueError unless the samples match the checksum at their own end.

    Only for files in which a chunk's checksum is wrong; takes as long as decoding.
    """
    unpacker, left = zlib.decompressobj(), raw_bytes
    for chunk in chunks.data:
        packed = bytes(chunk[8:-4])
        while packed and not unpacker.eof:
            left -= len(unpacker.decompress(packed, UNPACKED_BYTES))
            packed = unpacker.unconsumed_tail
            if left < 0:
                raise ValueError("it has more data than pixels")
    if not unpacker.eof:
        raise ValueError("its data does not match its checksum")


def _read_metadata(chunks: _PngParts, kind: bytes, view: memoryview, start: int, end: int) -> None:
    """Keep what says how the pixels are to be shown. Raises errors for malformed metadata."""
    keyword = bytes(view[start : min(start + MAX_KEYWORD_BYTES, end)])
    packed = view[start + keyword.find(b"\0") + 2 : end]
    if kind == b"eXIf":
        _verify(view, start, end)
        chunks.exif = bytes(view[start:end])
    elif kind in COLOUR_SPACE:
        chunks.colour_space.setdefault(kind, bytes(_verify(view, start, end)))
    elif kind == b"iTXt" and keyword.startswith(XMP_KEYWORD):
        _verify(view, start, end)
        chunks.xmp = bytes(view[start:end])
    elif kind == b"iCCP" and not chunks.has_profile:
        chunks.has_profile = True
        _verify(view, start, end)
        chunks.profile = zlib.decompressobj().decompress(packed, icc.MAX_BYTES)
    elif kind in (b"zTXt", b"tEXt") and keyword.startswith(EXIF_KEYWORDS) and not chunks.exif:
        chunks.exif = MALFORMED  # only the first is unpacked
        _verify(view, start, end)
        hexadecimal = (
            zlib.decompressobj().decompress(packed, MAX_EXIF_TEXT_BYTES)
            if kind == b"zTXt"
            else bytes(view[start : min(end, start + MAX_EXIF_TEXT_BYTES)]).partition(b"\0")[2]
        )
        lines = hexadecimal.decode().split("\n")[EXIF_TEXT_HEAD_LINES:]
        chunks.exif = bytes.fromhex("".join(lines))


def _load(chunks: _PngParts, raw_mode: str | None = None) -> Image.Image:
    """The samples, without palette and transparency."""
    header = b"\0\0\0\x0dIHDR" + chunks.decisive[b"IHDR"]
    parts: list[bytes | memoryview] = [
        SIGNATURE,
        header,
        zlib.crc32(header[4:]).to_bytes(4, "big"),
        *chunks.data,
        END,
    ]
    image = Image.open(open_pieces(parts), formats=("PNG",))
    if raw_mode is not None:
        image.tile = [tile._replace(args=raw_mode) for tile in image.tile]
    image.load()
    return image


def _blend_palette(palette: bytes, transparency: bytes) -> NDArray[np.uint8]:
    """256 colours, blended with white. Those beyond the palette are black, as in browsers."""
    if not palette or len(palette) % 3:
        raise ValueError("the palette is missing")
    table = np.zeros((256, 3), np.uint8)
    colours = np.frombuffer(palette[:768], np.uint8).reshape(-1, 3)
    table[: len(colours)] = colours
    alpha = np.full((256, 1), 255, np.uint8)
    alpha[: len(transparency), 0] = np.frombuffer(transparency[:256], np.uint8)
    return blend_with_white(table, alpha)


def _key(transparency: bytes, kind: int, bits: int) -> list[int]:
    """The transparent colour, in the values that Pillow makes of the samples."""
    values = [
        int.from_bytes(transparency[at : at + 2], "big") for at in range(0, len(transparency), 2)
    ]
    values = [value & (1 << bits) - 1 for value in values]
    if bits < 8:
        return [value * (255 // ((1 << bits) - 1)) for value in values]
    return [value >> 8 for value in values] if (kind, bits) == (RGB, 16) else values


def _matches(image: Image.Image, key: Sequence[int]) -> NDArray[np.bool_]:
    """H x W: where every channel has the value of the key."""
    matches = np.empty((image.height, image.width), np.bool_)
    rows = max(1, STRIP_PIXELS // image.width)
    for top in range(0, image.height, rows):
        strip = np.asarray(image.crop((0, top, image.width, min(top + rows, image.height))))
        levels = strip * np.uint8(255) if strip.dtype == np.bool_ else strip
        channels = np.moveaxis(levels, 2, 0) if levels.ndim == 3 else levels[np.newaxis]
        matching = matches[top : top + rows]
        matching[:] = True
        for channel, value in zip(channels, key, strict=True):
            matching &= channel == levels.dtype.type(value)
    return matches
