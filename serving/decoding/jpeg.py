"""The fast path: ordinary JPEGs by libjpeg-turbo; large ones are decoded at a reduced size.

Ordinary JPEGs are those that cameras and web sites write: 8 bits, grey or YCbCr, Huffman-coded. All
others, and every file that libjpeg warns about, are left to `decode.decode_hardened`, which decides
about errors. The pixels of the two are identical.
"""

from dataclasses import dataclass
from math import ceil

import simplejpeg

from serving.decoding import bounds, orientation
from serving.decoding.decoded import DecodedImage, scale_factor
from serving.decoding.profiles import icc, srgb

SOF_BASELINE, SOF_EXTENDED, SOF_PROGRESSIVE = 0xC0, 0xC1, 0xC2
SOS, APP1, APP2, APP14 = 0xDA, 0xE1, 0xE2, 0xEE
FRAME_MARKERS = (SOF_BASELINE, SOF_EXTENDED, SOF_PROGRESSIVE)
OTHER_FRAME_MARKERS = frozenset(range(0xC3, 0xD0)) - {0xC4, 0xC8, 0xCC}

MAX_PROGRESSIVE_PIXELS = 16_000_000
"""libjpeg holds a progressive image in memory, at six bytes a pixel, also at a reduced size."""

MAX_ESTIMATED_SCAN_PIXELS = bounds.MAX_SCAN_PIXELS
"""The most scans x pixels. The estimate may be too high; `decode_hardened` counts exactly."""

MAX_CHEAP_NANOSECONDS = 30_000_000
NANOSECONDS_PER_BYTE = 10
NANOSECONDS_PER_SCANNED_PIXEL = 2
"""Measured on a busy machine. With a limit of 30 ms, an image of 4 megapixels is cheap, and so are
ten scans of one megapixel."""

BLOCK_SIDE_PIXELS = 8
"""The side of a block, which is decoded as a whole: 1 x 65500 pixels cost eight times as many."""

MIN_PROGRESSIVE_SCANS = 10
"""The assumed minimum for progressive images: if scans are missing, libjpeg smooths the image,
which takes as long as the usual ten scans."""

MAX_SEGMENTS = 1_000
"""The most segments before the first scan; the longest colour profile has 255."""


@dataclass(frozen=True, slots=True)
class JpegHeader:
    width: int
    height: int
    is_progressive: bool
    orientation: int
    profile: bytes
    """The ICC profile; empty if there is none."""


def decode_ordinary(body: bytes, max_pixels: int, shorter_side: int) -> DecodedImage | None:
    """Decode an ordinary JPEG, or return None. Arguments as in `decode.decode`."""
    header = read_ordinary_header(body)
    pixels = 0 if header is None else header.width * header.height
    if (
        header is None
        or pixels > max_pixels
        or bounds.estimate_jpeg_scans(body) * pixels > MAX_ESTIMATED_SCAN_PIXELS
    ):
        return None
    return _decode(body, header, shorter_side)


def decode_cheap(body: bytes, max_pixels: int, shorter_side: int) -> DecodedImage | None:
    """As `decode_ordinary`; also None if decoding may take more than about 30 ms, or if the colours
    have to be converted: LittleCMS reads a stranger's profile in decoder processes only."""
    header = read_ordinary_header(body)
    if header is None or header.width * header.height > max_pixels:
        return None
    if _estimate_nanoseconds(body, header) > MAX_CHEAP_NANOSECONDS or srgb.matters(header.profile):
        return None
    return _decode(body, header, shorter_side)


def _estimate_nanoseconds(body: bytes, header: JpegHeader) -> int:
    """An estimate of the longest decoding time."""
    scans = max(
        bounds.estimate_jpeg_scans(body), MIN_PROGRESSIVE_SCANS if header.is_progressive else 1
    )
    blocks = ceil(header.width / BLOCK_SIDE_PIXELS) * ceil(header.height / BLOCK_SIDE_PIXELS)
    return (
        NANOSECONDS_PER_BYTE * len(body)
        + NANOSECONDS_PER_SCANNED_PIXEL * scans * blocks * BLOCK_SIDE_PIXELS**2
    )


def _decode(body: bytes, header: JpegHeader, shorter_side: int) -> DecodedImage | None:
    width, height = header.width, header.height
    factor = scale_factor(width, height, shorter_side)
    try:
        pixels = simplejpeg.decode_jpeg(
            body, "RGB", min_height=ceil(height / factor), min_width=ceil(width / factor)
        )
    except ValueError:
        return None
    pixels = srgb.to_srgb(pixels, header.profile, shorter_side)
    width, height = orientation.upright_size(width, height, header.orientation)
    return DecodedImage(orientation.turn(pixels, header.orientation), width, height, "jpeg")


def read_ordinary_header(body: bytes) -> JpegHeader | None:
    """Parse the segments before the first scan; None if anything is unusual.

    `bounds.walk_jpeg` passes over what is unusual, and takes a third longer.
    """
    size: tuple[int, int] | None = None
    metadata: list[bytes] = []
    is_progressive = False
    at, left = 2, MAX_SEGMENTS
    while body[at : at + 1] == b"\xff" and at + 4 <= len(body):
        marker, length = body[at + 1], int.from_bytes(body[at + 2 : at + 4], "big")
        content = body[at + 4 : at + 2 + length]
        if marker == SOS:
            break
        left -= 1
        if not left or marker in OTHER_FRAME_MARKERS or length < 2 or _is_unusual(marker, content):
            return None
        if marker in FRAME_MARKERS:
            if size is not None:
                return None
            size, is_progressive = _read_size(marker, content), marker == SOF_PROGRESSIVE
        elif marker in (APP1, APP2):
            metadata.append(content)
        at += 2 + length
    else:
        return None
    if size is None:
        return None
    exif = next((content for content in metadata if content.startswith(b"Exif\0\0")), b"")
    parts = [content for content in metadata if content.startswith(icc.JPEG_PREFIX)]
    return JpegHeader(*size, is_progressive, orientation.read(exif), icc.join_parts(parts))


def _is_unusual(marker: int, content: bytes) -> bool:
    """Whether the colours are not YCbCr, or XMP has an orientation, which Pillow would apply."""
    if marker == APP14 and content.startswith(b"Adobe"):
        return content[11:12] != b"\1"
    return marker == APP1 and not content.startswith(b"Exif") and b"Orientation" in content


def _read_size(marker: int, content: bytes) -> tuple[int, int] | None:
    height, width = int.from_bytes(content[1:3], "big"), int.from_bytes(content[3:5], "big")
    if content[:1] != b"\x08" or content[5:6] not in (b"\1", b"\3") or not width * height:
        return None
    if marker == SOF_PROGRESSIVE and width * height > MAX_PROGRESSIVE_PIXELS:
        return None
    return width, height
