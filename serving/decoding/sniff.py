"""Detect the format of a file by its first bytes, never by its name or declared type."""

from typing import Literal

from serving.decoding.formats import foreign, raw
from serving.decoding.formats.foreign import UnsupportedFormat

Format = Literal["jpeg", "png", "webp", "gif", "bmp", "tiff", "heif"]


SUPPORTED_MAGIC: tuple[tuple[bytes, Format], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
)

HEIF_BRANDS = frozenset((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"))
AVIF_BRANDS = frozenset((b"avif", b"avis"))
ISO_MEDIA = {
    b"crx ": UnsupportedFormat(f"{foreign.RAW} (CR3)", "raw"),
    b"qt  ": UnsupportedFormat("a QuickTime film", "video"),
    b"M4A ": UnsupportedFormat("a sound file (MPEG-4)", "other"),
    b"jp2 ": UnsupportedFormat("a JPEG 2000 image"),
    **dict.fromkeys(
        (b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"M4V ", b"MSNV"),
        UnsupportedFormat("an MP4 film", "video"),
    ),
}
BMP_HEADER_SIZES = frozenset((12, 16, 40, 52, 56, 64, 108, 124))


def sniff(body: bytes) -> Format | UnsupportedFormat | None:
    """The format of a file; None if it is not recognised."""
    for magic, image_format in SUPPORTED_MAGIC:
        if body.startswith(magic):
            return image_format if image_format != "tiff" else raw.recognise_tiff(body) or "tiff"
    if body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return "webp"
    if body[:2] == b"BM" and int.from_bytes(body[14:18], "little") in BMP_HEADER_SIZES:
        return "bmp"
    if body[4:8] == b"ftyp":
        return _sniff_iso_media(body)
    return foreign.recognise(body)


def _sniff_iso_media(body: bytes) -> Format | UnsupportedFormat:
    """Detect ISO base media files by their brands: major brand at 8, compatible ones from 16 on."""
    size = min(int.from_bytes(body[:4], "big"), 256)
    brands = {body[8:12]} | {body[at : at + 4] for at in range(16, size, 4)}
    if brands & AVIF_BRANDS:
        return UnsupportedFormat("an AVIF image")
    if brands & HEIF_BRANDS and b"crx " not in brands:
        return "heif"
    default = UnsupportedFormat("a film or another media file", "video")
    return ISO_MEDIA.get(body[8:12], default)


def webp_size(body: bytes) -> tuple[int, int] | None:
    """Width and height in a WebP header (RFC 9649, sections 2.5 to 2.7); None if it is invalid.

    It is checked before decoding, because libwebp allocates the canvas when Pillow opens the file.
    """
    match body[12:16]:
        case b"VP8X" if len(body) >= 30:
            return (
                int.from_bytes(body[24:27], "little") + 1,
                int.from_bytes(body[27:30], "little") + 1,
            )
        case b"VP8L" if len(body) >= 25 and body[20] == 0x2F:
            bits = int.from_bytes(body[21:25], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 " if len(body) >= 30 and body[23:26] == b"\x9d\x01\x2a":
            return (
                int.from_bytes(body[26:28], "little") & 0x3FFF,
                int.from_bytes(body[28:30], "little") & 0x3FFF,
            )
        case _:
            return None


def claimed_pixels(body: bytes, image_format: Format) -> int | None:
    """Width x height if the format has them at its beginning; None otherwise."""
    match image_format:
        case "png":
            sides, order = (body[16:20], body[20:24]), "big"
        case "gif":
            sides, order = (body[6:8], body[8:10]), "little"
        case "bmp" if body[14] == 12:
            sides, order = (body[18:20], body[20:22]), "little"
        case "bmp":
            sides, order = (body[18:22], body[22:26]), "little"
        case "webp":
            size = webp_size(body)
            return None if size is None else size[0] * size[1]
        case _:
            return None
    width, height = (int.from_bytes(side, order, signed=image_format == "bmp") for side in sides)  # type: ignore[arg-type]
    return abs(width * height)
