"""Decode an untrusted image file to an upright RGB image, or say why not.

The choice of decoder is here: `decode` tries libjpeg-turbo for ordinary JPEGs (`jpeg`), and a
module for each format (`formats`) in `decode_hardened` for everything else.
"""

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import cv2
from PIL import Image

from serving.decoding import bounds, jpeg, orientation
from serving.decoding.decoded import DecodedImage
from serving.decoding.formats import bmp, gif, heif, jpeg_file, png, webp
from serving.decoding.formats.foreign import ADVICE, UnsupportedFormat
from serving.decoding.formats.raster import Raster
from serving.decoding.formats.tiff import reader as tiff
from serving.decoding.profiles import srgb
from serving.decoding.sniff import Format, sniff
from serving.decoding.undecodable import UndecodableError, truncated

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
"""The errors that our readers, Pillow and libheif raise for malformed files."""


def decode(body: bytes, max_pixels: int, shorter_side: int) -> DecodedImage:
    """Decode a file of any supported format; only the first frame.

    A large JPEG is decoded at a reduced size, with at least `shorter_side` pixels on its shorter
    side. Raises UndecodableError, and nothing else, for any bytes.
    """
    return jpeg.decode_ordinary(body, max_pixels, shorter_side) or decode_hardened(
        body, max_pixels, shorter_side
    )


def decode_hardened(body: bytes, max_pixels: int, shorter_side: int) -> DecodedImage:
    """As `decode`, without libjpeg-turbo's shortcut. Takes at most about 480 MB besides the body.

    Raises UndecodableError, and nothing else, for any bytes.
    """
    image_format = detect_format(body)
    with _translate_errors(image_format):
        bounds.check(body, image_format, max_pixels)
        raster = _decode_format(body, image_format, max_pixels, shorter_side)
        width, height = orientation.upright_size(raster.width, raster.height, raster.orientation)
        pixels = srgb.to_srgb(raster.pixels, raster.profile, shorter_side)
        return DecodedImage(
            orientation.turn(pixels, raster.orientation), width, height, image_format
        )


def _decode_format(body: bytes, image_format: Format, max_pixels: int, shorter_side: int) -> Raster:
    """One reader for one format. If Pillow chose it, EPS files would go to Ghostscript."""
    match image_format:
        case "jpeg":
            return jpeg_file.decode(body, max_pixels, shorter_side)
        case "png":
            return png.decode(body, max_pixels)
        case "gif":
            return gif.decode(body, max_pixels)
        case "webp":
            return webp.decode(body)
        case "tiff":
            return tiff.decode(body, max_pixels)
        case "bmp":
            return bmp.decode(body, max_pixels)
        case "heif":
            return heif.decode(body, max_pixels)


def detect_format(body: bytes) -> Format:
    """The format, by the first bytes. Raises UndecodableError if it is not supported."""
    if not body:
        raise UndecodableError("empty", "The file is empty.")
    match sniff(body):
        case None:
            raise UndecodableError("not_an_image", "The file is not an image of any known format.")
        case UnsupportedFormat(name, "other"):
            raise UndecodableError("not_an_image", f"The file is {name}, not an image.")
        case UnsupportedFormat(name, kind):
            raise UndecodableError("unsupported_format", f"The file is {name}. {ADVICE[kind]}")
        case image_format:
            return image_format


@contextmanager
def _translate_errors(image_format: Format) -> Iterator[None]:
    try:
        yield
    except Image.DecompressionBombError as error:  # Pillow's own limit was exceeded first
        raise UndecodableError("too_many_pixels", "The image has far too many pixels.") from error
    except (MemoryError, cv2.error) as error:  # an absurd size, or the decoder's own limit
        raise UndecodableError(
            "too_expensive",
            f"The {image_format} file takes too much memory to decode. {ADVICE['image']}",
        ) from error
    except DECODER_ERRORS as error:
        if isinstance(error, EOFError) or "truncated" in str(error).lower():
            raise truncated(image_format) from error
        raise UndecodableError(
            "corrupt", f"The {image_format} file is damaged and cannot be decoded."
        ) from error
