"""Images made on the spot, good and hostile, for whoever tests what happens to them."""

import io
import struct
import zlib

from PIL import Image, ImageDraw
from pillow_heif import from_pillow

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def picture(width: int = 96, height: int = 64) -> Image.Image:
    """Red, with a green block in the top left corner: which way is up can be seen."""
    image = Image.new("RGB", (width, height), RED)
    ImageDraw.Draw(image).rectangle((0, 0, width // 3, height // 3), fill=GREEN)
    return image


def plain(colour: tuple[int, int, int], width: int = 64, height: int = 48) -> Image.Image:
    return Image.new("RGB", (width, height), colour)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def oriented(orientation: int, form: str = "JPEG") -> bytes:
    """`picture()` with an EXIF orientation."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return encoded(picture(), form, exif=exif)


def heic(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    from_pillow(image).save(stream, quality=90)
    return stream.getvalue()


def png_of(width: int, height: int) -> bytes:
    """A PNG that claims this size and holds next to nothing."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 64)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(kind, data) for kind, data in chunks)


def webp_of(width: int, height: int) -> bytes:
    """34 bytes whose canvas libwebp would allocate before Pillow could look at it."""
    body = b"VP8L" + struct.pack("<I", 14) + b"\x2f"
    body += struct.pack("<I", (width - 1) | (height - 1) << 14) + b"\0" * 9
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def chunk(kind: bytes, data: bytes) -> bytes:
    crc = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + crc


def hostile() -> dict[str, tuple[bytes, str]]:
    """What people and attackers send, and the code each must be refused by."""
    jpeg, png, gif = (encoded(picture(), form) for form in ("JPEG", "PNG", "GIF"))
    return {
        "nothing": (b"", "empty"),
        "text": (b"not an image at all\n" * 20, "not_an_image"),
        "zeros": (bytes(4096), "not_an_image"),
        "json": (b'{"image": "cat"}', "not_an_image"),
        "a PDF": (b"%PDF-1.7\n%\xe2\xe3", "unsupported_format"),
        "an EPS named jpg": (b"%!PS-Adobe-3.0 EPSF-3.0\n(%pipe%id) (r) file", "unsupported_format"),
        "an SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "unsupported_format"),
        "an AVIF": (b"\0\0\0\x1cftypavif\0\0\0\0mif1avif", "unsupported_format"),
        "a film": (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", "unsupported_format"),
        "an icon": (encoded(picture(32, 32), "ICO"), "unsupported_format"),
        "a JPEG cut short": (jpeg[: len(jpeg) // 2], "truncated"),
        "a PNG cut short": (png[: len(png) // 2], "truncated"),
        "a GIF cut short": (gif[: len(gif) // 2], "truncated"),
        "a PNG with broken data": (png.replace(b"IDAT", b"IDAX"), "corrupt"),
        "a HEIC cut short": (heic(picture())[:60], "truncated"),
        "a TIFF of noise": (b"II*\0" + bytes(range(256)), "corrupt"),
        "a PNG bomb": (png_of(30_000, 30_000), "too_many_pixels"),
        "a WebP bomb": (webp_of(16_383, 3_500), "too_many_pixels"),
    }
