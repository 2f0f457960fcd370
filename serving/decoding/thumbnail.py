"""Thumbnails for reports: small upright JPEGs, for requests that accept only `image/jpeg`."""

from io import BytesIO

from PIL import Image

from serving.decoding.decode import decode

SIDE_PIXELS = 160
JPEG_QUALITY = 70


def make_thumbnail(body: bytes, max_pixels: int) -> bytes:
    """A JPEG of at most SIDE_PIXELS in width and height, about 5 KB. Raises UndecodableError."""
    image = Image.fromarray(decode(body, max_pixels, SIDE_PIXELS).pixels)
    image.thumbnail((SIDE_PIXELS, SIDE_PIXELS))
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()
