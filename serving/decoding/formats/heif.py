"""HEIF: libheif decodes the primary image and turns it; its colours are an ICC profile or codes."""

from io import BytesIO

from pillow_heif import HeifImageFile

from serving.decoding import bounds
from serving.decoding.colour import to_rgb
from serving.decoding.formats.raster import Raster
from serving.decoding.profiles import coded


def decode(body: bytes, max_pixels: int) -> Raster:
    """Raises UndecodableError, or an error of the decoder."""
    image = HeifImageFile(BytesIO(body))
    width, height = image.size
    bounds.check_size(width, height, max_pixels)
    image.load()
    profile, nclx = image.info.get("icc_profile") or b"", image.info.get("nclx_profile")
    if nclx and not profile:
        codes = nclx["color_primaries"], nclx["transfer_characteristics"]
        profile = coded.h273_profile(*codes)
    return Raster(to_rgb(image), width, height, profile=profile)
