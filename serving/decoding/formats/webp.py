"""WebP: Pillow decodes the first frame, without metadata and without the frames behind it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from PIL import Image

from serving.decoding import orientation
from serving.decoding.colour import WHITE, to_rgb
from serving.decoding.formats.raster import Raster
from serving.decoding.sniff import webp_size

RIFF_HEAD_BYTES, CHUNK_HEAD_BYTES, FRAME_HEAD_BYTES = 12, 8, 16
HAS_ALPHA = 0x10

MAX_CHUNKS = 10_000
"""The most chunks that are looked at. An animation has one a frame; metadata stand behind them."""


@dataclass(slots=True)
class _WebpParts:
    """The first frame, and what is useful of the rest; each with its header where it is a chunk."""

    image: bytes = b""
    alpha: bytes = b""
    left: int = 0
    top: int = 0
    is_animated: bool = False
    metadata: dict[bytes, bytes] = field(default_factory=dict)


def decode(body: bytes) -> Raster:
    """Raises UndecodableError, or an error of the decoder."""
    chunks = _read_chunks(body)
    canvas, size = webp_size(body), webp_size(_riff(chunks.image))
    if canvas is None or size is None:
        raise ValueError("a size is missing")
    if (chunks.left + size[0] > canvas[0] or chunks.top + size[1] > canvas[1]) or not (
        chunks.is_animated or size == canvas
    ):
        raise ValueError("the frame does not fit")
    has_alpha = body[12:16] == b"VP8X" and body[20] & HAS_ALPHA
    if has_alpha and chunks.alpha and chunks.image.startswith(b"VP8 "):
        sides = b"".join((side - 1).to_bytes(3, "little") for side in size)
        extended = _chunk(b"VP8X", bytes((HAS_ALPHA, 0, 0, 0)) + sides)
        still = _riff(extended, chunks.alpha, chunks.image)
    else:
        still = _riff(chunks.image)
    image = Image.open(BytesIO(still), formats=("WEBP",))
    image.load()
    pixels = to_rgb(image)
    if size != canvas:
        shown = np.full((canvas[1], canvas[0], 3), WHITE, np.uint8)
        shown[chunks.top : chunks.top + size[1], chunks.left : chunks.left + size[0]] = pixels
        pixels = shown
    exif, xmp, profile = (chunks.metadata.get(kind, b"") for kind in (b"EXIF", b"XMP ", b"ICCP"))
    return Raster(pixels, *canvas, orientation.read(exif, xmp), profile)


def _read_chunks(body: bytes) -> _WebpParts:
    """Raises EOFError if the file ends before its first frame, ValueError if it has none."""
    chunks = _WebpParts()
    for kind, start, end in _walk(body, RIFF_HEAD_BYTES, len(body)):
        match kind:
            case b"VP8 " | b"VP8L" | b"ALPH":
                _keep_image(chunks, kind, body, start, end)
            case b"ANMF" if not chunks.is_animated:
                chunks.is_animated = True
                chunks.left = 2 * int.from_bytes(body[start : start + 3], "little")
                chunks.top = 2 * int.from_bytes(body[start + 3 : start + 6], "little")
                for inner in _walk(body, start + FRAME_HEAD_BYTES, end):
                    _keep_image(chunks, inner[0], body, *inner[1:])
            case b"ICCP" | b"EXIF" | b"XMP ":
                chunks.metadata[kind] = body[start:end]
    if not chunks.image:
        raise ValueError("it has no image")
    return chunks


def _walk(body: bytes, at: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """The kind of each chunk, and where its content begins and ends."""
    for _ in range(MAX_CHUNKS):
        start = at + CHUNK_HEAD_BYTES
        if start > end:
            return
        length = int.from_bytes(body[at + 4 : start], "little")
        yield body[at : at + 4], start, start + length
        at = start + length + length % 2


def _keep_image(chunks: _WebpParts, kind: bytes, body: bytes, start: int, end: int) -> None:
    if kind not in (b"VP8 ", b"VP8L", b"ALPH") or chunks.image:
        return
    if end > len(body):
        raise EOFError
    if kind == b"ALPH":
        chunks.alpha = _chunk(kind, body[start:end])
    else:
        chunks.image = _chunk(kind, body[start:end])


def _chunk(kind: bytes, content: bytes) -> bytes:
    padding = bytes(len(content) % 2)
    return kind + len(content).to_bytes(4, "little") + content + padding


def _riff(*chunks: bytes) -> bytes:
    content = b"WEBP" + b"".join(chunks)
    return b"RIFF" + len(content).to_bytes(4, "little") + content
