"""HEIF: libheif decodes the primary image and turns it; its colours are an ICC profile or codes."""

from io import BytesIO

from pillow_heif import HeifImageFile

from serving.decoding import bounds
from serving.decoding.colour import to_rgb
from serving.decoding.formats.raster import Raster
from serving.decoding.profiles import coded
from serving.decoding.undecodable import unsupported

DECODED = frozenset(("hvc1", "grid", "iden", "iovl"))
"""HEVC, and images made of others."""

CODINGS = {
    "av01": "AV1",
    "avc1": "H.264",
    "vvc1": "VVC",
    "jpeg": "JPEG",
    "j2k1": "JPEG 2000",
    "unci": "uncompressed values",
    "moov": "a sequence only",
}

BOX_HEAD_BYTES = 8
MAX_BOXES = 1_000
"""Beside each other, at the top. Files have about four."""


def decode(body: bytes, max_pixels: int) -> Raster:
    """Raises UndecodableError, or an error of the decoder."""
    others = sorted(bounds.read_heif_codings(body) - DECODED)
    if others:
        raise unsupported(f"A HEIF image that holds {CODINGS.get(others[0], others[0])}")
    try:
        image = HeifImageFile(BytesIO(body))
        width, height = image.size
        bounds.check_size(width, height, max_pixels)
        image.load()
    except (EOFError, OSError, RuntimeError, SyntaxError, ValueError) as error:
        if _is_cut(body):
            raise EOFError from error
        raise ValueError("libheif cannot decode it") from error
    profile, nclx = image.info.get("icc_profile") or b"", image.info.get("nclx_profile")
    if nclx and not profile:
        codes = nclx["color_primaries"], nclx["transfer_characteristics"]
        profile = coded.h273_profile(*codes)
    return Raster(to_rgb(image), width, height, profile=profile)


def _is_cut(body: bytes) -> bool:
    """Whether the last box of the file ends behind its end."""
    at = 0
    for _ in range(MAX_BOXES):
        size = int.from_bytes(body[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(body[at + 8 : at + 16], "big")
        if at >= len(body) or size < BOX_HEAD_BYTES:
            break
        at += size
    return at > len(body)
