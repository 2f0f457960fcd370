"""HEIF files of any structure (ISO/IEC 23008-12) around pictures that libheif has coded."""

import io
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pillow_heif
from numpy.typing import NDArray
from PIL import Image

ALPHA_TYPE = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"


@dataclass(frozen=True)
class Item:
    """Items are numbered from one, in order."""

    kind: bytes
    data: bytes
    properties: Sequence[bytes]
    references: dict[bytes, Sequence[int]] = field(default_factory=dict)


def coded(pixels: NDArray[np.uint8], bits: int = 8, chroma: int = 444, quality: int = -1) -> Item:
    """H x W, or H x W x 3, coded without loss by HEVC if it is not subsampled."""
    height, width = pixels.shape[:2]
    stream = io.BytesIO()
    if bits == 8:
        picture = pillow_heif.from_pillow(Image.fromarray(pixels))
    else:
        pillow_heif.options.SAVE_HDR_TO_12_BIT = bits == 12
        deep = (pixels.astype(np.uint16) * 257).tobytes()
        picture = pillow_heif.from_bytes("RGB;16", (width, height), deep)
    picture.save(stream, quality=quality, chroma=chroma)
    boxes = dict(boxes_in(stream.getvalue()))
    meta = dict(boxes_in(boxes[b"meta"][4:]))
    parts = dict(boxes_in(dict(boxes_in(meta[b"iprp"]))[b"ipco"]))
    kinds = (b"hvcC", b"colr", b"pixi", b"ispe", b"clap")  # clap where a side is odd
    kept = [box(kind, parts[kind]) for kind in kinds if kind in parts]
    return Item(b"hvc1", boxes[b"mdat"], kept)


def extent(width: int, height: int) -> bytes:
    return full(b"ispe", 0, struct.pack(">II", width, height))


def rotation(quarters: int) -> bytes:
    """Anti-clockwise."""
    return box(b"irot", bytes((quarters,)))


def mirror(axis: int) -> bytes:
    """0 exchanges top and bottom, 1 left and right."""
    return box(b"imir", bytes((axis,)))


def crop(width: int, height: int, size: tuple[int, int], place: tuple[int, int]) -> bytes:
    """`clap`: a part of `width` x `height`, of a picture of `size`, at `place`."""
    offsets = [
        (2 * (start + part / 2) - whole, 2)
        for start, part, whole in zip(place, (width, height), size, strict=True)
    ]
    numbers = [width, 1, height, 1, *(int(number) for offset in offsets for number in offset)]
    return box(b"clap", struct.pack(">IIIIiIiI", *numbers))


def alpha() -> bytes:
    return full(b"auxC", 0, ALPHA_TYPE)


def grid(rows: int, columns: int, width: int, height: int, tiles: Sequence[int]) -> Item:
    data = struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)
    return Item(b"grid", data, [extent(width, height)], {b"dimg": tiles})


def file_of(items: Sequence[Item], primary: int = 1, brand: bytes = b"heic") -> bytes:
    properties = list(dict.fromkeys(part for item in items for part in item.properties))
    places = struct.pack(">I", len(items))
    infos, references = b"", b""
    for number, item in enumerate(items, 1):
        infos += full(b"infe", 2, struct.pack(">HH", number, 0) + item.kind + b"\0")
        chosen = [properties.index(part) + 1 for part in item.properties]
        essential = [
            0x80 if part[4:8] in (b"hvcC", b"irot", b"imir", b"clap") else 0
            for part in item.properties
        ]
        places += struct.pack(">HB", number, len(chosen))
        places += bytes(place | flag for place, flag in zip(chosen, essential, strict=True))
        for kind, targets in item.references.items():
            content = struct.pack(f">HH{len(targets)}H", number, len(targets), *targets)
            references += box(kind, content)

    def build(start: int) -> bytes:
        located, at = b"", start
        for number, item in enumerate(items, 1):
            located += struct.pack(">HHHII", number, 0, 1, at, len(item.data))
            at += len(item.data)
        inside = full(b"hdlr", 0, bytes(4) + b"pict" + bytes(13))
        inside += full(b"pitm", 0, struct.pack(">H", primary))
        inside += full(b"iloc", 0, struct.pack(">BBH", 0x44, 0, len(items)) + located)
        inside += full(b"iinf", 0, struct.pack(">H", len(items)) + infos)
        inside += box(b"iprp", box(b"ipco", b"".join(properties)) + full(b"ipma", 0, places))
        if references:
            inside += full(b"iref", 0, references)
        head = box(b"ftyp", brand + b"\0\0\0\0mif1" + brand) + full(b"meta", 0, inside)
        return head + box(b"mdat", b"".join(item.data for item in items))

    return build(len(build(0)) - sum(len(item.data) for item in items))


def boxes_in(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        yield content[at + 4 : at + 8], content[at + 8 : at + size]
        at += size


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def full(kind: bytes, version: int, content: bytes) -> bytes:
    return box(kind, bytes((version, 0, 0, 0)) + content)
