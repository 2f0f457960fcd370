"""The variants of all formats: what the tests try, and what the documentation counts."""

from tests.unit.serving.decoding.variants import bmp, gif, heif, jpeg, png, tiff, webp
from tests.unit.serving.decoding.variants.variant import Variant

VARIANTS: tuple[Variant, ...] = (
    *jpeg.VARIANTS,
    *png.VARIANTS,
    *webp.VARIANTS,
    *gif.VARIANTS,
    *bmp.VARIANTS,
    *tiff.VARIANTS,
    *heif.VARIANTS,
)
