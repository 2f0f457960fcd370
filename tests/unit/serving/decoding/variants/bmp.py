"""Variants of Windows bitmaps."""

from tests.support.builders.formats import bmp
from tests.unit.serving.decoding.variants.variant import Variant, picture

PICTURE = picture()
HEIGHT, WIDTH, _ = PICTURE.shape


def write_24_bits(bottom_up: bool) -> bytes:
    rows = PICTURE[::-1] if bottom_up else PICTURE
    pixels = bmp.pad_rows(rows[:, :, ::-1].reshape(HEIGHT, -1))
    return bmp.file_of(bmp.info_header(WIDTH, HEIGHT if bottom_up else -HEIGHT, 24), pixels)


VARIANTS = (
    Variant("bmp", "24 bits", "bottom-up", lambda: write_24_bits(True), PICTURE),
    Variant("bmp", "24 bits", "top-down", lambda: write_24_bits(False), PICTURE),
)
