"""What people send instead of images is called by its name, with what to do about it."""

import io
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from serving.decoding.decode import decode
from serving.decoding.formats.foreign import ENDS_BYTES, recognise
from serving.decoding.undecodable import UndecodableError
from tests.support.builders.images import encoded, picture


def zipped(*names: str, first: str = "[Content_Types].xml") -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (first, *names):
            archive.writestr(name, "content " * 20)
    return stream.getvalue()


def open_document(kind: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("mimetype", f"application/vnd.oasis.opendocument.{kind}")
        archive.writestr("content.xml", "<office/>")
    return stream.getvalue()


def ole(name: str, sector_shift: int = 9, offset: int = 512) -> bytes:
    """A compound file whose directory lies between streams."""
    size = 1 << sector_shift
    sector = offset // size - 1
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".ljust(30, b"\0") + struct.pack("<H", sector_shift)
    body = head.ljust(48, b"\0") + struct.pack("<I", sector)
    entries = (entry.encode("utf-16-le").ljust(128, b"\0") for entry in ("Root Entry", name))
    return body.ljust((sector + 1) * size, b"\0") + b"".join(entries) + bytes(offset)


def numpy_archive() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, image=np.zeros((2, 2, 3), np.uint8))
    return stream.getvalue()


def dib() -> bytes:
    return encoded(picture(), "BMP")[14:]


FAR_BYTES = 4 * ENDS_BYTES
MANY = zipped(*(f"folder/{number}.txt" for number in range(2_000)), "word/document.xml")

IMAGES = {
    "a TGA image": encoded(picture(), "TGA"),
    "a TGA image ": encoded(picture(), "TGA")[:-26],
    "a TGA image  ": encoded(picture().convert("P"), "TGA")[:-26],
    "a TGA image   ": encoded(picture().convert("L"), "TGA", compression="tga_rle")[:-26],
    "a PCX image": encoded(picture(), "PCX"),
    "a Windows DIB": dib(),
    "a Netpbm image": encoded(picture(), "PPM"),
    "a Netpbm image ": b"P1\n2 2\n0 1 1 0\n",
    "a Netpbm image  ": b"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 3\nMAXVAL 255\nENDHDR\n" + bytes(12),
    "a Netpbm image   ": b"PF\n2 2\n-1.0\n" + bytes(48),
    "an SGI image": encoded(picture(), "SGI"),
    "a QOI image": b"qoif" + bytes(60),
    "an OpenEXR image": b"\x76\x2f\x31\x01\2\0\0\0" + bytes(60),
    "a Radiance HDR image": b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n",
    "a FITS image": b"SIMPLE  =                    T".ljust(80),
    "a DjVu document": b"AT&TFORM\0\0\0\x20DJVU",
    "a DICOM image": bytes(128) + b"DICM\2\0\0\0",
    "a JPEG 2000 image": encoded(picture(), "JPEG2000"),
    "a JPEG 2000 image ": encoded(picture(), "JPEG2000", no_jp2=True),
    "a JPEG XL image": b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a",
    "a JPEG XL image ": b"\xff\x0a\xfa\x7f",
    "a JPEG XR image": b"II\xbc\1\x08\0\0\0",
    "an AVIF image": encoded(picture(), "AVIF"),
    "an SVG drawing": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "an SVG drawing ": b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- drawn -->\n<svg/>",
    "an SVG drawing  ": b"<!-- drawn -->\n<svg/>",
    "a Photoshop file": b"8BPS\0\1" + bytes(20),
    "a Windows icon": encoded(picture(32, 32), "ICO"),
    "a Windows cursor": b"\0\0\2\0\1\0\x20\x20",
    "an Apple icon": encoded(picture(32, 32), "ICNS"),
    "an OS/2 bitmap array": b"BA" + bytes(60),
    "an Amiga IFF image": b"FORM\0\0\0\x20ILBM",
    "a Sun raster image": b"\x59\xa6\x6a\x95" + bytes(28),
    "a Windows metafile": b"\xd7\xcd\xc6\x9a" + bytes(18),
    "a data URL": b"data:image/png;base64,iVBORw0KGgo=",
    "a JPEG written as text": b"/9j/4AAQSkZJRgABAQ",
    "a Krita drawing": zipped("maindoc.xml", first="application/x-krita"),
}
DOCUMENTS = {
    "a PDF document": b"%PDF-1.7\n%\xe2\xe3",
    "a PostScript file": b"%!PS-Adobe-3.0 EPSF-3.0\n(%pipe%id) (r) file",
    "an RTF document": b"{\\rtf1\\ansi hello}",
    "a Word document": zipped("_rels/.rels", "word/document.xml"),
    "a Word document ": ole("WordDocument"),
    "a Word document  ": MANY,
    "a Word document   ": ole("WordDocument", 9, FAR_BYTES),
    "a Word document    ": ole("WordDocument", 12, FAR_BYTES),
    "an Excel workbook": zipped("_rels/.rels", "xl/workbook.xml"),
    "an Excel workbook ": ole("Workbook"),
    "a PowerPoint presentation": zipped("ppt/presentation.xml"),
    "a PowerPoint presentation ": ole("PowerPoint Document"),
    "an old Office document": ole("Something"),
    "an OpenDocument text": open_document("text"),
    "an OpenDocument spreadsheet": open_document("spreadsheet"),
    "an EPUB book": zipped("META-INF/container.xml", first="application/epub+zip"),
}
VIDEOS = {
    "an MP4 film": b"\0\0\0\x18ftypmp42\0\0\0\0isommp42",
    "an MP4 film ": b"\0\0\0\x18ftypisom\0\0\0\0isomiso2",
    "a QuickTime film": b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
    "a QuickTime film ": b"\0\0\0\x20moov\0\0\0\0",
    "a film or another media file": b"\0\0\0\x14ftypXXXX\0\0\0\0XXXX",
    "a Matroska or WebM film": b"\x1aE\xdf\xa3\x01\0\0\0",
    "an AVI film": b"RIFF\0\0\0\x20AVI LIST",
}
ARCHIVES = {
    "a ZIP archive": zipped("a.jpg", first="b.jpg"),
    "an empty ZIP archive": b"PK\5\6" + bytes(18),
    "a 7-Zip archive": b"7z\xbc\xaf\x27\x1c" + bytes(20),
    "a RAR archive": b"Rar!\x1a\x07\1\0",
    "a tar archive": bytes(257) + b"ustar\x0000" + bytes(200),
}
NO_IMAGES = {
    "a web page (HTML)": b"\n<!DOCTYPE html>\n<html><body>Please sign in</body></html>",
    "a web page (HTML) ": b"<HTML><HEAD></HEAD></HTML>",
    "an XML document": b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
    "a text file": b"not an image at all\n" * 20,
    "a text file ": "Grüße, ".encode() * 10_000 + b"\xc3",
    "a text file  ": "Notizen".encode("utf-16"),
    "a text file   ": b'{"image": "cat"}',
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n",
    "a sound file": b"RIFF\0\0\0\x20WAVEfmt ",
    "a Windows program": b"MZ\x90\0" + bytes(60),
    "a NumPy archive": numpy_archive(),
    "what macOS keeps beside a file": b"\0\5\x16\7\0\2\0\0Mac OS X",
    "a SQLite database": b"SQLite format 3\0" + bytes(100),
    "a font": b"\0\1\0\0\0\x0f\0\x80",
}
ADVICE = {
    "image": "Save it as JPEG, PNG or WebP and send that.",
    "document": "Save its pictures as JPEG or PNG and send those.",
    "video": "Save a frame of it as JPEG and send that.",
    "archive": "Unpack it and send the images.",
}
FOREIGN = [
    pytest.param(name.rstrip(), body, advice, id=f"{name.rstrip()} {len(name)}")
    for advice, files in zip(ADVICE.values(), (IMAGES, DOCUMENTS, VIDEOS, ARCHIVES), strict=True)
    for name, body in files.items()
]


@pytest.mark.parametrize(("name", "body", "advice"), FOREIGN)
def test_another_format_is_named_with_advice(name: str, body: bytes, advice: str) -> None:
    with pytest.raises(UndecodableError) as refusal:
        decode(body, 50_000_000, 256)
    assert refusal.value.code == "unsupported_format"
    assert refusal.value.message.startswith(f"The file is {name}")
    assert refusal.value.message.endswith(advice)


@pytest.mark.parametrize("name", NO_IMAGES)
def test_what_is_no_image_at_all_is_named(name: str) -> None:
    with pytest.raises(UndecodableError) as refusal:
        decode(NO_IMAGES[name], 50_000_000, 256)
    assert refusal.value.code == "not_an_image"
    assert refusal.value.message.startswith(f"The file is {name.rstrip()}")
    assert refusal.value.message.endswith(", not an image.")


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(bytes(4096), id="zeros"),
        pytest.param(bytes(range(128, 256)) * 9, id="high bytes"),
        pytest.param(b"\0", id="one byte"),
        pytest.param(b"caf\xe9 \x01", id="control characters"),
    ],
)
def test_nothing_is_said_of_what_nobody_knows(body: bytes) -> None:
    assert recognise(body) is None
    with pytest.raises(UndecodableError, match="not an image of any known format") as refusal:
        decode(body, 50_000_000, 256)
    assert refusal.value.code == "not_an_image"


def test_random_bytes_are_hardly_ever_taken_for_another_format() -> None:
    """Formats without a magic number are recognised by fields, which chance can fill."""
    bytes_of = np.random.default_rng(7).integers(0, 256, (5_000, 64), np.uint8)
    names = [recognise(row.tobytes()) for row in bytes_of]
    assert sum(name is not None for name in names) < 10


def test_a_picture_of_any_size_is_no_dib() -> None:
    assert recognise(Image.new("RGB", (40, 1)).tobytes()) is None


@pytest.mark.parametrize("sector_shift", [0, 9, 12, 65_535])
@pytest.mark.parametrize("sector", [0, 2**32 - 2])
def test_an_old_office_document_is_searched_in_its_directory_only(
    sector_shift: int, sector: int
) -> None:
    """The server's event loop waits for the answer: 25 MB were searched for 0.2 s."""
    body = bytearray(ole("WordDocument", 9, FAR_BYTES))
    struct.pack_into("<H", body, 30, sector_shift)
    struct.pack_into("<I", body, 48, sector)
    answer = recognise(bytes(body))
    assert answer is not None
    assert answer.name == "an old Office document"
