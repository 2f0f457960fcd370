"""Formats that are not decoded, by their bytes: what a rejection calls the file, and advises.

The server's event loop waits for it. A file of any size costs a comparison with each magic number,
and the names of a container's contents are searched in at most 128 KiB of it.
"""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from domain.route import OTHER_ARCHIVES, OTHER_COMPRESSIONS

Kind = Literal["image", "raw", "document", "video", "archive", "packed", "other"]

ADVICE: Mapping[Kind, str] = MappingProxyType(
    {
        "image": "Save it as JPEG, PNG or WebP and send that.",
        "raw": "Develop it, save it as JPEG and send that.",
        "document": "Save its pictures as JPEG or PNG and send those.",
        "video": "Save a frame of it as JPEG and send that.",
        "archive": "Unpack it and send the images.",
        "packed": "Unpack it and send the image.",
    }
)
"""Whatever else it is, it is no image: then there is nothing to advise."""

ENDS_BYTES = 65_536
"""How much of the beginning, of the end, or of a directory is searched."""


@dataclass(frozen=True, slots=True)
class UnsupportedFormat:
    """A format that is recognised but not supported."""

    name: str
    """With its article: "a PDF document"."""
    kind: Kind = "image"


RAW = "a camera raw file"

MAGIC: Mapping[Kind, tuple[tuple[int, bytes, str], ...]] = MappingProxyType(
    {
        "raw": (
            (0, b"IIRO", f"{RAW} (ORF)"),
            (0, b"IIRS", f"{RAW} (ORF)"),
            (0, b"MMOR", f"{RAW} (ORF)"),
            (0, b"IIU\0", f"{RAW} (RW2)"),
            (0, b"FUJIFILMCCD-RAW", f"{RAW} (RAF)"),
            (0, b"FOVb", f"{RAW} (X3F)"),
            (0, b"\0MRM", f"{RAW} (MRW)"),
            (6, b"HEAPCCDR", f"{RAW} (CRW)"),
            (0, b"NOKIARAW", RAW),
            (0, b"ARRI", f"{RAW} (ARRIRAW)"),
            (0, b"XPDS", RAW),
        ),
        "image": (
            (0, b"8BPS", "a Photoshop file"),
            (0, b"gimp xcf", "a GIMP file"),
            (0, b"Paint Shop Pro Image File", "a PaintShop Pro file"),
            (0, b"\0\xffKA", "an Affinity file"),
            (0, b"\0\0\1\0", "a Windows icon"),
            (0, b"\0\0\2\0\1", "a Windows cursor"),
            (0, b"icns", "an Apple icon"),
            (0, b"DDS ", "a DirectDraw texture"),
            (0, b"\xabKTX ", "a KTX texture"),
            (0, b"BLP", "a Blizzard texture"),
            (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 image"),
            (0, b"\xffO\xffQ", "a JPEG 2000 image"),
            (0, b"\0\0\0\x0cJXL ", "a JPEG XL image"),
            (0, b"\xff\x0a", "a JPEG XL image"),
            (0, b"II\xbc", "a JPEG XR image"),
            (0, b"qoif", "a QOI image"),
            (0, b"\x76\x2f\x31\x01", "an OpenEXR image"),
            (0, b"#?RADIANCE", "a Radiance HDR image"),
            (0, b"#?RGBE", "a Radiance HDR image"),
            (0, b"SIMPLE  =", "a FITS image"),
            (0, b"AT&TFORM", "a DjVu document"),
            (128, b"DICM", "a DICOM image"),
            (0, b"BPG\xfb", "a BPG image"),
            (0, b"FLIF", "a FLIF image"),
            (0, b"farbfeld", "a farbfeld image"),
            (0, b"\x8aMNG", "an MNG animation"),
            (0, b"\x8bJNG", "a JNG image"),
            (0, b"\x59\xa6\x6a\x95", "a Sun raster image"),
            (0, b"DanM", "a Windows Paint image"),
            (0, b"LinS", "a Windows Paint image"),
            (0, b"BA", "an OS/2 bitmap array"),
            (4, b"\x11\xaf", "an FLI animation"),
            (4, b"\x12\xaf", "an FLC animation"),
            (8, b"ILBM", "an Amiga IFF image"),
            (8, b"PBM ", "an Amiga IFF image"),
            (8, b"ACON", "a Windows cursor"),
            (8, b"CDR", "a CorelDRAW drawing"),
            (0, b"\xd7\xcd\xc6\x9a", "a Windows metafile"),
            (40, b" EMF", "a Windows metafile"),
            (0, b"AC10", "an AutoCAD drawing"),
            (0, b"/* XPM */", "an XPM image"),
            (0, b"BLENDER", "a Blender file"),
            (0, b"data:image/", "a data URL, an image written as text"),
            (0, b"/9j/4", "a JPEG written as text (base64)"),
            (0, b"iVBORw0KGgo", "a PNG written as text (base64)"),
        ),
        "document": (
            (0, b"%PDF", "a PDF document"),
            (0, b"%!PS", "a PostScript file"),
            (0, b"\xc5\xd0\xd3\xc6", "a PostScript file"),
            (0, b"{\\rtf", "an RTF document"),
        ),
        "video": (
            (8, b"AVI ", "an AVI film"),
            (0, b"\x1aE\xdf\xa3", "a Matroska or WebM film"),
            (0, b"\0\0\1\xba", "an MPEG film"),
            (0, b"\0\0\1\xb3", "an MPEG film"),
            (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media film"),
            (0, b"FLV\1", "a Flash film"),
            (0, b"FWS", "a Flash animation"),
            (0, b"CWS", "a Flash animation"),
            (4, b"moov", "a QuickTime film"),
            (4, b"mdat", "a QuickTime film"),
            (4, b"wide", "a QuickTime film"),
            (4, b"RED1", "a REDCODE film"),
        ),
        "archive": (
            (0, b"PK\5\6", "an empty ZIP archive"),
            (257, b"ustar", "a tar archive"),
            *((0, magic, name) for magic, name in OTHER_ARCHIVES),
        ),
        "packed": (
            (0, b"\x1f\x8b", "packed twice with gzip"),
            *((0, magic, name) for magic, name in OTHER_COMPRESSIONS),
        ),
        "other": (
            (8, b"WAVE", "a sound file"),
            (8, b"AIFF", "a sound file"),
            (0, b"ID3", "a sound file (MP3)"),
            (0, b"OggS", "a sound file (Ogg)"),
            (0, b"fLaC", "a sound file (FLAC)"),
            (0, b"MThd", "a sound file (MIDI)"),
            (0, b"\x89HDF", "an HDF5 file"),
            (0, b"CDF\1", "a NetCDF file"),
            (0, b"GRIB", "a GRIB file"),
            (0, b"MATLAB 5.0", "a MATLAB file"),
            (0, b"PAR1", "a Parquet file"),
            (0, b"SQLite format 3", "a SQLite database"),
            (0, b"\x80\4\x95", "a Python pickle"),
            (0, b"MZ", "a Windows program"),
            (0, b"\x7fELF", "a Linux program"),
            (0, b"\xcf\xfa\xed\xfe", "a macOS program"),
            (0, b"\xca\xfe\xba\xbe", "a Java class or a macOS program"),
            (0, b"\0asm", "a WebAssembly module"),
            (0, b"\0\1\0\0\0", "a font"),
            (0, b"OTTO", "a font"),
            (0, b"wOF", "a font"),
            (0, b"L\0\0\0\1\x14\2\0", "a Windows shortcut"),
            (0, b"\0\5\x16\7", "what macOS keeps beside a file, not the file itself"),
            (0, b"bplist", "a macOS property list"),
            (0, b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
        ),
    }
)  # fmt: skip

ZIP_CONTENTS = (
    (b"word/", UnsupportedFormat("a Word document", "document")),
    (b"xl/", UnsupportedFormat("an Excel workbook", "document")),
    (b"ppt/", UnsupportedFormat("a PowerPoint presentation", "document")),
    (b"visio/", UnsupportedFormat("a Visio drawing", "document")),
    (b"opendocument.text", UnsupportedFormat("an OpenDocument text", "document")),
    (b"opendocument.spreadsheet", UnsupportedFormat("an OpenDocument spreadsheet", "document")),
    (b"opendocument.presentation", UnsupportedFormat("an OpenDocument presentation", "document")),
    (b"opendocument.graphics", UnsupportedFormat("an OpenDocument drawing", "document")),
    (b"epub+zip", UnsupportedFormat("an EPUB book", "document")),
    (b"image/openraster", UnsupportedFormat("an OpenRaster drawing")),
    (b"application/x-krita", UnsupportedFormat("a Krita drawing")),
    (b".iwa", UnsupportedFormat("a Pages, Numbers or Keynote document", "document")),
    (b"AndroidManifest.xml", UnsupportedFormat("an Android app", "other")),
    (b"META-INF/MANIFEST.MF", UnsupportedFormat("a Java archive", "other")),
    (b"/data.pkl", UnsupportedFormat("a PyTorch file", "other")),
    (b".npy", UnsupportedFormat("a NumPy archive (.npz)", "other")),
)
"""Names of members, of which the first that occurs counts."""

OLE_CONTENTS = (
    ("WordDocument", UnsupportedFormat("a Word document", "document")),
    ("Workbook", UnsupportedFormat("an Excel workbook", "document")),
    ("PowerPoint Document", UnsupportedFormat("a PowerPoint presentation", "document")),
    ("__substg1.0", UnsupportedFormat("an Outlook message", "document")),
)
"""Names of streams, in UTF-16."""

OLE_SECTOR_SHIFTS = (9, 12)

NETPBM = re.compile(rb"P[1-7fF]\s")
TEXT_CONTROLS = frozenset(range(32)) - {*b"\t\n\r\f\x1b"}


def recognise(body: bytes) -> UnsupportedFormat | None:
    """What the file is, if it is no supported image; None if nothing is known about it."""
    start = body[:ENDS_BYTES]
    if start.startswith(b"PK\3\4"):
        return _recognise_zip(start, body[-ENDS_BYTES:])
    if start.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _recognise_ole(body)
    for kind, entries in MAGIC.items():
        for at, magic, name in entries:
            if start.startswith(magic, at):
                return UnsupportedFormat(name, kind)
    return _recognise_header(body) or _recognise_text(start)


def _recognise_zip(start: bytes, end: bytes) -> UnsupportedFormat:
    """By the names of members, in the first headers and in the directory at the end."""
    default = UnsupportedFormat("a ZIP archive", "archive")
    return next((form for name, form in ZIP_CONTENTS if name in start or name in end), default)


def _recognise_ole(body: bytes) -> UnsupportedFormat:
    """By the streams in the first sectors of the directory ([MS-CFB], sections 2.2 and 2.6)."""
    shift, sector = struct.unpack_from("<30xH16xI", body.ljust(52, b"\0"))
    at = (sector + 1) << shift if shift in OLE_SECTOR_SHIFTS else len(body)
    directory = body[at : at + ENDS_BYTES]
    names = ((name.encode("utf-16-le"), form) for name, form in OLE_CONTENTS)
    default = UnsupportedFormat("an old Office document", "document")
    return next((form for name, form in names if name in directory), default)


def _recognise_header(body: bytes) -> UnsupportedFormat | None:
    """Formats without a magic number, by fields that exclude almost everything else."""
    if NETPBM.match(body):
        return UnsupportedFormat("a Netpbm image (PBM, PGM, PPM, PAM or PFM)")
    if body[:2] == b"\1\xda" and body[2:4] in (b"\0\1", b"\0\2", b"\1\1", b"\1\2"):
        return UnsupportedFormat("an SGI image")
    is_pcx = body[:1] == b"\x0a" and body[1:2] in b"\0\2\3\4\5" and body[2:3] in b"\0\1"
    if is_pcx and len(body) > 128 and body[3:4] in b"\1\2\4\x08":
        return UnsupportedFormat("a PCX image")
    size, planes, bits = struct.unpack_from("<I8xHH", body.ljust(16, b"\0"))
    if size in (40, 52, 56, 108, 124) and planes == 1 and bits in (1, 4, 8, 16, 24, 32):
        return UnsupportedFormat("a Windows DIB, a bitmap without its file header")
    if body[-18:] == b"TRUEVISION-XFILE.\0" or _is_tga(body):
        return UnsupportedFormat("a TGA image")
    return None


def _is_tga(body: bytes) -> bool:
    """By its header of 18 bytes; old files have no signature."""
    if len(body) <= 18 or body[1] > 1 or body[2] not in (1, 2, 3, 9, 10, 11):
        return False
    has_palette = body[2] in (1, 9)
    depths = {1: (8, 16), 3: (8, 16)}.get(body[2] % 8, (15, 16, 24, 32))
    return (
        body[1] == has_palette
        and (any(body[3:8]) == has_palette)
        and all(any(body[at : at + 2]) for at in (12, 14))
        and body[16] in depths
        and not body[17] & 0xC0
    )


def _recognise_text(start: bytes) -> UnsupportedFormat | None:
    """Drawings and pages by their first tags; text by the absence of anything else."""
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n")
    lower = text[:4_096].lower()
    if lower.startswith((b"<svg", b"<!doctype svg")) or (
        lower.startswith((b"<?xml", b"<!--")) and b"<svg" in lower
    ):
        return UnsupportedFormat("an SVG drawing")
    if lower.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return UnsupportedFormat("a web page (HTML)", "other")
    if lower.startswith(b"<?xml"):
        return UnsupportedFormat("an XML document", "other")
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return UnsupportedFormat("a text file", "other")
    if not text or TEXT_CONTROLS & set(start):
        return None
    try:
        start.decode()
    except UnicodeDecodeError as error:
        if error.start < len(start) - 3:  # a character may be cut at the end
            return None
    return UnsupportedFormat("a text file", "other")
