"""Variants of HEIF: depths, sampling, alpha, grids, rotation and cropping.

HEVC is coded by libheif; the boxes around it are ours.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np

from tests.support.builders.formats import heif
from tests.support.builders.formats.heif import Item, coded
from tests.unit.serving.decoding.variants.variant import Pixels, Variant, repeat_grey

WIDTH, HEIGHT = 96, 64
TOLERANCE = 3
SUBSAMPLED_TOLERANCE = 24
EXIF = b"\0\0\0\6Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"


def smooth(width: int = WIDTH, height: int = HEIGHT) -> Pixels:
    """Without symmetry, and hardly changed by colours of half the resolution."""
    rows, columns = np.mgrid[0:height, 0:width]
    channels = columns * 255 // width, rows * 255 // height, 255 - columns * 127 // width
    pixels = np.dstack(channels).astype(np.uint8)
    pixels[: height // 4, : width // 4] = (40, 40, 40)
    return pixels


PICTURE = smooth()


def file_of(items: Sequence[Item], primary: int = 1, brand: bytes = b"heic") -> partial[bytes]:
    return partial(heif.file_of, items, primary, brand)


def with_properties(*properties: bytes) -> partial[bytes]:
    item = coded(PICTURE)
    return file_of([replace(item, properties=[*item.properties, *properties])])


def still() -> Iterator[Variant]:
    for bits, chroma in product((8, 10, 12), (444, 422, 420)):
        item = coded(PICTURE, bits, chroma, -1 if chroma == 444 else 100)
        tolerance = TOLERANCE if chroma == 444 else SUBSAMPLED_TOLERANCE
        name = f"{bits} bits, 4:{chroma // 10 % 10}:{chroma % 10}"
        yield Variant("heif", "single pictures", name, file_of([item]), PICTURE, tolerance)
    grey = np.ascontiguousarray(PICTURE[:, :, 0])
    item = coded(grey, chroma=420)
    yield Variant("heif", "single pictures", "grey", file_of([item]), repeat_grey(grey), TOLERANCE)
    for width, height in ((97, 63), (64, 65), (71, 64)):
        pixels = smooth(width, height)
        write = file_of([coded(pixels)])
        yield Variant("heif", "single pictures", f"{width} x {height}", write, pixels, TOLERANCE)


def transformed() -> Iterator[Variant]:
    for quarters in range(4):
        write = with_properties(heif.rotation(quarters))
        expected = np.rot90(PICTURE, quarters)
        yield Variant("heif", "transformations", f"rotated {quarters}", write, expected, TOLERANCE)
        for axis, mirrored in ((0, expected[::-1]), (1, expected[:, ::-1])):
            write = with_properties(heif.rotation(quarters), heif.mirror(axis))
            name = f"rotated {quarters}, mirrored {axis}"
            yield Variant("heif", "transformations", name, write, mirrored, TOLERANCE)
    crop = heif.crop(40, 20, (WIDTH, HEIGHT), (10, 30))
    part = PICTURE[30:50, 10:50]
    yield Variant("heif", "transformations", "cropped", with_properties(crop), part, TOLERANCE)
    write, expected = with_properties(crop, heif.rotation(1)), np.rot90(part)
    yield Variant("heif", "transformations", "cropped and rotated", write, expected, TOLERANCE)
    item = coded(PICTURE)
    exif = Item(b"Exif", EXIF, [], {b"cdsc": [1]})
    name = "EXIF says otherwise, which does not count"
    yield Variant("heif", "transformations", name, file_of([item, exif]), PICTURE, TOLERANCE)
    broken = replace(exif, data=b"\xff\xff\xff\xffbroken")
    yield Variant("heif", "metadata", "broken EXIF", file_of([item, broken]), PICTURE, TOLERANCE)
    empty = replace(exif, data=b"")
    yield Variant("heif", "metadata", "empty EXIF", file_of([item, empty]), PICTURE, TOLERANCE)
    xmp = Item(b"mime", b"<broken", [], {b"cdsc": [1]})
    yield Variant("heif", "metadata", "broken XMP", file_of([item, xmp]), PICTURE, TOLERANCE)
    profile = with_properties(heif.box(b"colr", b"profbroken"))
    yield Variant("heif", "metadata", "broken profile", profile, PICTURE, TOLERANCE)


def composed() -> Iterator[Variant]:
    levels = np.ascontiguousarray(PICTURE[:, :, 0])
    layer = coded(levels, chroma=420)
    mask = replace(layer, properties=[*layer.properties, heif.alpha()], references={b"auxl": [1]})
    weight = levels[:, :, np.newaxis] / 255
    shown = np.rint(PICTURE * weight + 255 * (1 - weight)).astype(np.uint8)
    write = file_of([coded(PICTURE), mask])
    yield Variant("heif", "composed", "alpha", write, shown, TOLERANCE)
    tiles = [PICTURE[row : row + 64, column : column + 64] for row in (0,) for column in (0, 32)]
    parts = [coded(np.ascontiguousarray(tile)) for tile in tiles]
    whole = np.concatenate(tiles, axis=1)
    for width, height in ((128, 64), (120, 50)):
        items = [heif.grid(1, 2, width, height, [2, 3]), *parts]
        expected = whole[:height, :width]
        name = f"grid of two, {width} x {height}"
        yield Variant("heif", "composed", name, file_of(items), expected, TOLERANCE)
    turned = heif.grid(1, 2, 128, 64, [2, 3])
    turned = replace(turned, properties=[*turned.properties, heif.rotation(3)])
    write, expected = file_of([turned, *parts]), np.rot90(whole, 3)
    yield Variant("heif", "composed", "grid, rotated", write, expected, TOLERANCE)
    same = Item(b"iden", b"", [heif.extent(WIDTH, HEIGHT), heif.rotation(1)], {b"dimg": [2]})
    write, expected = file_of([same, coded(PICTURE)]), np.rot90(PICTURE)
    yield Variant("heif", "composed", "another's pixels, rotated", write, expected, TOLERANCE)
    small = coded(np.zeros((64, 64, 3), np.uint8))
    thumbnail = replace(small, references={b"thmb": [2]})
    write = file_of([thumbnail, coded(PICTURE)], primary=2)
    yield Variant("heif", "composed", "thumbnail in front", write, PICTURE, TOLERANCE)
    write = file_of([coded(PICTURE), small, small])
    yield Variant("heif", "composed", "several pictures", write, PICTURE, TOLERANCE)


def refused() -> Iterator[Variant]:
    item = coded(PICTURE)
    for kind in (b"av01", b"avc1", b"vvc1", b"jpeg", b"j2k1", b"unci", b"xxxx"):
        write = file_of([replace(item, kind=kind)], brand=b"mif1")
        yield Variant("heif", "other codings", kind.decode(), write, "unsupported_format")
    tile = replace(item, kind=b"jpeg")
    write = file_of([heif.grid(1, 2, 192, 64, [2, 3]), item, tile])
    yield Variant("heif", "other codings", "a tile of JPEG", write, "unsupported_format")
    sequence = heif.box(b"ftyp", b"hevc\0\0\0\0msf1hevc") + heif.box(b"moov", bytes(99))
    yield Variant(
        "heif", "other codings", "sequence", partial(bytes, sequence), "unsupported_format"
    )
    whole = heif.file_of([item])
    yield Variant("heif", "cut short", "its pixels", partial(bytes, whole[:-300]), "truncated")
    yield Variant("heif", "cut short", "its boxes", partial(bytes, whole[:60]), "truncated")
    noise = whole[: -len(item.data)] + bytes(len(item.data))
    yield Variant("heif", "damaged", "zeros for pixels", partial(bytes, noise), "corrupt")
    yield Variant("heif", "damaged", "no such item", file_of([item], primary=7), "corrupt")


VARIANTS = (*still(), *transformed(), *composed(), *refused())
