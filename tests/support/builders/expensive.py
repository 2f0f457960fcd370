"""Files that cost far more than their bytes, made on the spot: small, and legal or nearly so."""

import io
import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.support.builders.images import chunk, encoded, heic


def many_scans(width: int, height: int, scans: int, mode: str = "RGB") -> bytes:
    """A progressive JPEG that repeats its last scan."""
    body = encoded(Image.new(mode, (width, height)), "JPEG", progressive=True)
    last = body[body.rindex(b"\xff\xda") : -2]
    return body[:-2] + last * scans + b"\xff\xd9"


def first_scan_only(width: int, height: int) -> bytes:
    """A progressive JPEG that ends before any detail: libjpeg smooths what is there."""
    body = encoded(Image.new("RGB", (width, height)), "JPEG", progressive=True)
    second = body.index(b"\xff\xda", body.index(b"\xff\xda") + 2)
    return body[: body.rindex(b"\xff\xc4", 0, second)] + b"\xff\xd9"


def with_segments(count: int) -> bytes:
    """A JPEG with so many empty comments before its first scan."""
    body = encoded(Image.new("RGB", (64, 48)), "JPEG")
    return body[:2] + b"\xff\xfe\0\2" * count + body[2:]


def with_exif_tags(count: int, prefixes: int = 1) -> bytes:
    """A JPEG whose EXIF points `count` tags at the same 60,000 bytes; Pillow skips two prefixes."""
    entries = b"".join(struct.pack("<HHII", 40_000 + n, 7, 60_000, 8) for n in range(count))
    tiff = b"II*\0" + struct.pack("<IH", 8, count) + entries + bytes(4)
    exif = b"Exif\0\0" * prefixes + tiff.ljust(65_000, b"\0")
    body = encoded(Image.new("RGB", (64, 48)), "JPEG")
    return body[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + body[2:]


def flat_png(width: int, height: int, bits: int = 8) -> bytes:
    """Legal: RGB without detail."""
    packer = zlib.compressobj(9)
    row = bytes(1 + width * 3 * bits // 8)
    data = b"".join([*(packer.compress(row) for _ in range(height)), packer.flush()])
    return png((b"IHDR", struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)), (b"IDAT", data))


def png_with_chunks(count: int) -> bytes:
    body = flat_png(64, 48)
    return body[:33] + chunk(b"teSt", b"") * count + body[33:]


def png_with_text(kind: bytes, count: int, unpacked: int = 1_000_000) -> bytes:
    """Each chunk of text, or each profile, of a thousandth of what it unpacks to."""
    flag = b"\1\0\0\0" if kind == b"iTXt" else b"\0"
    text = chunk(kind, b"name\0" + flag + zlib.compress(bytes(unpacked), 9))
    body = flat_png(64, 48)
    return body[:33] + text * count + body[33:]


def png_with_plain_text(length: int) -> bytes:
    body = flat_png(64, 48)
    text = chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + b"x" * length)
    return body[:33] + text + body[33:]


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in (*chunks, (b"IEND", b"")))


def gif_with_comments(count: int) -> bytes:
    body = encoded(Image.new("P", (64, 48)), "GIF")
    at = 13 + (3 << (body[10] & 7) + 1 if body[10] & 0x80 else 0)
    return body[:at] + b"\x21\xfe" + b"\x01c" * count + b"\0" + body[at:]


def gif_with_extensions(count: int) -> bytes:
    body = encoded(Image.new("P", (64, 48)), "GIF")
    at = 13 + (3 << (body[10] & 7) + 1 if body[10] & 0x80 else 0)
    return body[:at] + b"\x21\xfe\0" * count + body[at:]


def tiff_with_tags(count: int, part: int, order: str = "<") -> bytes:
    """Its own tags, and `count` more that point at the same `each` bytes."""
    tags = {256: 64, 257: 48, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 48, 279: 64 * 48}
    entries = [struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags.items()]
    entries += [struct.pack(order + "HHII", 50_000 + n, 7, part, 8) for n in range(count)]
    content = bytes(max(64 * 48, part))
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(content))
    return head + content + struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4)


def tiff_of_scans(width: int, height: int, scans: int) -> bytes:
    """One strip, compressed as a progressive JPEG that repeats its last scan."""
    strip = many_scans(width, height, scans)
    depth = struct.pack("<3H", 8, 8, 8)
    tags = {256: width, 257: height, 258: 8, 259: 7, 262: 6, 273: 14, 277: 3, 278: height}
    tags[279] = len(strip)
    entries = b"".join(
        struct.pack("<HHII", tag, 3 if tag == 258 else 4, 3 if tag == 258 else 1, value)
        for tag, value in tags.items()
    )
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 14 + len(strip)) + depth + strip + directory


def heic_grid(tile: int, rows: int, columns: int, depth: int = 1) -> bytes:
    """A grid that shows the same tile `rows` x `columns` times; a grid of such grids by `depth`."""
    boxes = dict(_boxes(heic(Image.new("RGB", (tile, tile), (9, 99, 9)))))
    meta = dict(_boxes(boxes[b"meta"][4:]))
    properties = dict(_boxes(dict(_boxes(meta[b"iprp"]))[b"ipco"]))
    data = boxes[b"mdat"]
    size = tile
    ispe, references, infos, places, links = [], b"", b"", [], b""
    infos += _full(b"infe", 2, struct.pack(">HH", 1, 0) + b"hvc1\0")
    ispe.append(_full(b"ispe", 0, struct.pack(">II", tile, tile)))
    links += struct.pack(">HBBB", 1, 2, 0x81, 2)
    places.append((1, 0, len(data)))
    for level in range(1, depth + 1):
        size *= columns
        high = tile * rows**level
        grid = struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, size, high)
        infos += _full(b"infe", 2, struct.pack(">HH", level + 1, 0) + b"grid\0")
        ispe.append(_full(b"ispe", 0, struct.pack(">II", size, high)))
        links += struct.pack(">HBB", level + 1, 1, level + 2)
        count = rows * columns
        tiles = struct.pack(">HH", level + 1, count) + struct.pack(">H", level) * count
        references += _box(b"dimg", tiles)
        places.append((level + 1, len(data), len(grid)))
        data += grid
    container = _box(b"hvcC", properties[b"hvcC"]) + b"".join(ispe)
    count = depth + 1
    association = _full(b"ipma", 0, struct.pack(">I", count) + links)

    def whole(start: int) -> bytes:
        located = b"".join(
            struct.pack(">HHHII", item, 0, 1, start + at, length) for item, at, length in places
        )
        inside = _full(b"hdlr", 0, bytes(4) + b"pict" + bytes(13))
        inside += _full(b"pitm", 0, struct.pack(">H", count))
        inside += _full(b"iloc", 0, struct.pack(">BBH", 0x44, 0, count) + located)
        inside += _full(b"iinf", 0, struct.pack(">H", count) + infos)
        inside += _box(b"iprp", _box(b"ipco", container) + association)
        inside += _full(b"iref", 0, references)
        head = _box(b"ftyp", b"heic\0\0\0\0mif1heic") + _full(b"meta", 0, inside)
        return head + _box(b"mdat", data)

    return whole(len(whole(0)) - len(data))


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        yield content[at + 4 : at + 8], content[at + 8 : at + size]
        at += size


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def _full(kind: bytes, version: int, content: bytes) -> bytes:
    return _box(kind, bytes((version, 0, 0, 0)) + content)


def small_arrays(count: int) -> bytes:
    """.npy of as many images as may be, of a pixel each."""
    stream = io.BytesIO()
    np.save(stream, np.zeros((count, 1, 1, 3), np.uint8))
    return stream.getvalue()
