"""A small upright JPEG of an image, for reports: whoever accepts `image/jpeg` gets that."""

from io import BytesIO

from PIL import Image

from serving.decoding.decode import decode

SIDE = 160
QUALITY = 70


def thumbnail(body: bytes, max_pixels: int) -> bytes:
    """At most SIDE pixels wide and high, some 5 KB. Raises Undecodable."""
    image = Image.fromarray(decode(body, max_pixels, SIDE).pixels)
    image.thumbnail((SIDE, SIDE))
    jpeg = BytesIO()
    image.save(jpeg, "JPEG", quality=QUALITY)
    return jpeg.getvalue()
