"""Decode an untrusted image file to an upright RGB image, or say why not.

The choice of decoder is here: `decode` tries libjpeg-turbo for ordinary JPEGs (`jpeg`), and Pillow
or libheif in `decode_hardened` for everything else.
"""

import struct
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO

from PIL import Image
from pillow_heif import HeifImageFile

from serving.decoding import bounds, jpeg, orientation
from serving.decoding.colour import to_rgb
from serving.decoding.decoded import DecodedImage
from serving.decoding.sniff import Format, UnsupportedFormat, sniff, webp_size
from serving.decoding.undecodable import UndecodableError

DECODER_ERRORS = (
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""The errors that Pillow's and libheif's decoders raise for malformed files."""

OPENERS: dict[Format, Callable[[BytesIO], Image.Image]] = {
    "jpeg": partial(Image.open, formats=("JPEG",)),  # opens MPO too; naming it breaks Image.open
    "png": partial(Image.open, formats=("PNG",)),
    "webp": partial(Image.open, formats=("WEBP",)),
    "gif": partial(Image.open, formats=("GIF",)),
    "bmp": partial(Image.open, formats=("BMP",)),
    "tiff": partial(Image.open, formats=("TIFF",)),
    "heif": HeifImageFile,
}
"""The decoder of each format. If Pillow chose it, an EPS file would be passed to Ghostscript."""

CONVERT_ADVICE = "Save it as JPEG, PNG or WebP and send that."


def decode(body: bytes, max_pixels: int, shorter_side: int) -> DecodedImage:
    """Decode a file of any supported format; only the first frame.

    A large JPEG is decoded at a reduced size, with at least `shorter_side` pixels on its shorter
    side. Raises UndecodableError, and nothing else, for any bytes.
    """
    return jpeg.decode_ordinary(body, max_pixels, shorter_side) or decode_hardened(
        body, max_pixels, shorter_side
    )


def decode_hardened(body: bytes, max_pixels: int, shorter_side: int) -> DecodedImage:
    """As `decode`, with Pillow or libheif. Takes at most about 480 MB besides the body.

    Raises UndecodableError, and nothing else, for any bytes.
    """
    image_format = detect_format(body)
    with _translate_errors(image_format):
        if image_format == "webp" and (size := webp_size(body)) is not None:
            _check_pixels(size, max_pixels)
        bounds.check(body, image_format, max_pixels)
        image = OPENERS[image_format](BytesIO(body))
        width, height = image.size
        _check_pixels((width, height), max_pixels)
        if image_format == "jpeg":
            image.draft(None, (shorter_side, shorter_side))
        image.load()
        turned = orientation.read(image.getexif)  # after load: PNG may have it after the pixels
        width, height = orientation.upright_size(width, height, turned)
        pixels = to_rgb(image)
        del image  # up to 200 MB
        return DecodedImage(orientation.turn(pixels, turned), width, height, image_format)


def detect_format(body: bytes) -> Format:
    """The format, by the first bytes. Raises UndecodableError if it is not supported."""
    if not body:
        raise UndecodableError("empty", "The file is empty.")
    match sniff(body):
        case None:
            raise UndecodableError("not_an_image", "The file is not an image of any known format.")
        case UnsupportedFormat(name):
            raise UndecodableError("unsupported_format", f"The file is {name}. {CONVERT_ADVICE}")
        case image_format:
            return image_format


def _check_pixels(size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width * height > max_pixels:
        raise UndecodableError(
            "too_many_pixels",
            f"The image has {width} x {height} pixels; at most {max_pixels:,} are decoded.",
        )


@contextmanager
def _translate_errors(image_format: Format) -> Iterator[None]:
    try:
        yield
    except Image.DecompressionBombError as error:  # Pillow's own limit was exceeded first
        raise UndecodableError("too_many_pixels", "The image has far too many pixels.") from error
    except MemoryError as error:  # an absurd size inside the file, or the decoder's own limit
        raise UndecodableError(
            "too_expensive",
            f"The {image_format} file takes too much memory to decode. {CONVERT_ADVICE}",
        ) from error
    except DECODER_ERRORS as error:
        if isinstance(error, EOFError) or "truncated" in str(error).lower():
            raise UndecodableError(
                "truncated", f"The {image_format} file ends before its image does."
            ) from error
        raise UndecodableError(
            "corrupt", f"The {image_format} file is damaged and cannot be decoded."
        ) from error
