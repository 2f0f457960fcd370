"""JPEGs that are not ordinary: Pillow decodes them, without metadata, or they are refused by name.

`serving.decoding.jpeg` is the fast path for ordinary ones; the pixels of the two are identical.
"""

from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from serving.decoding import bounds, orientation
from serving.decoding.bounds import EOI, SOS
from serving.decoding.colour import to_rgb
from serving.decoding.formats.pieces import open_pieces
from serving.decoding.formats.raster import Raster
from serving.decoding.profiles import icc, srgb
from serving.decoding.undecodable import unsupported

METADATA = frozenset((*range(0xE0, 0xF0), 0xFE))
"""Application segments and comments."""

FRAMES = (0xC0, 0xC1, 0xC2)
FRAME_BYTES = 6
SUPPORTED_BITS = 8
UNSUPPORTED_FRAMES = {
    0xC3: "A lossless JPEG",
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "A hierarchical JPEG"),
    **dict.fromkeys((0xC9, 0xCA, 0xCB), "A JPEG with arithmetic coding"),
    0xF7: "A JPEG-LS image",
}

JFIF_BYTES, ADOBE_BYTES = 14, 12
XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"


@dataclass(slots=True)
class _JpegHead:
    """The segments before the first scan."""

    pieces: list[memoryview] = field(default_factory=list)
    """Those that decide pixels, and the rest of the file."""
    width: int = 0
    height: int = 0
    exif: bytes = b""
    xmp: bytes = b""
    profile_parts: list[bytes] = field(default_factory=list)


def decode(body: bytes, max_pixels: int, shorter_side: int) -> Raster:
    """Raises UndecodableError, or an error of the decoder."""
    head = _read_head(body)
    bounds.check_size(head.width, head.height, max_pixels)
    image = Image.open(open_pieces(head.pieces), formats=("JPEG",))  # inverts inks, as all do
    image.draft(None, (shorter_side, shorter_side))
    image.load()
    turned, profile = orientation.read(head.exif, head.xmp), icc.join_parts(head.profile_parts)
    if image.mode != "CMYK":
        return Raster(to_rgb(image), head.width, head.height, turned, profile)
    if srgb.converts_inks(profile):
        return Raster(np.asarray(image, np.uint8), head.width, head.height, turned, profile)
    return Raster(to_rgb(image), head.width, head.height, turned)


def _read_head(body: bytes) -> _JpegHead:
    """Raises UndecodableError for what is not supported, EOFError if the file has no scan."""
    view, head = memoryview(body), _JpegHead()
    head.pieces.append(view[:2])
    for marker, begin, end in bounds.walk_jpeg(body):
        content = body[begin + 4 : end]
        if marker in UNSUPPORTED_FRAMES:
            raise unsupported(UNSUPPORTED_FRAMES[marker])
        if marker in (SOS, EOI):
            if marker == EOI or not head.width:
                raise ValueError("it has no image")
            head.pieces.append(view[begin:])
            return head
        if end > len(body):
            raise EOFError
        if marker in FRAMES:
            _read_frame(head, content)
        if marker not in METADATA or _decides_colours(head, marker, content):
            head.pieces.append(view[begin:end])
    raise EOFError


def _read_frame(head: _JpegHead, frame: bytes) -> None:
    if head.width or len(frame) < FRAME_BYTES or len(frame) < FRAME_BYTES + 3 * frame[5]:
        raise ValueError("its frame is malformed")
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    if frame[0] != SUPPORTED_BITS:
        raise unsupported(f"A {frame[0]}-bit JPEG")
    if height == 0:
        raise unsupported("A JPEG that states its height behind its pixels")
    if frame[5] not in (1, 3, 4):
        raise unsupported(f"A JPEG of {frame[5]} components")
    factors = [divmod(frame[at], 16) for at in range(7, 6 + 3 * frame[5], 3)]
    if any(max(axis) % max(factor, 1) for axis in zip(*factors, strict=True) for factor in axis):
        raise unsupported("A JPEG whose colours have such a resolution")
    head.width, head.height = width, height


def _decides_colours(head: _JpegHead, marker: int, content: bytes) -> bool:
    """Whether libjpeg chooses the colours by a segment of metadata. Keeps what else is useful."""
    match marker:
        case 0xE0:
            return content.startswith(b"JFIF\0") and len(content) >= JFIF_BYTES
        case 0xE1 if content.startswith(b"Exif\0\0") and not head.exif:
            head.exif = content
        case 0xE1 if content.startswith(XMP_PREFIX):
            head.xmp = content
        case 0xE2 if content.startswith(icc.JPEG_PREFIX):
            head.profile_parts.append(content)
        case 0xEE:
            return content.startswith(b"Adobe") and len(content) >= ADOBE_BYTES
    return False
