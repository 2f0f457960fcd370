"""Variants of WebP: lossless, lossy, alpha, animation, and metadata that decides nothing."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from PIL import Image

from tests.support.builders.formats import webp
from tests.support.builders.formats.webp import chunk, extended, lossless, riff
from tests.support.builders.images import encoded
from tests.unit.serving.decoding.variants.variant import Pixels, Variant, grey_picture, picture

PICTURE = picture()
HEIGHT, WIDTH, _ = PICTURE.shape
ALPHA = grey_picture()
PROFILE_FLAG, ALPHA_FLAG, EXIF_FLAG, XMP_FLAG, ANIMATION_FLAG = 32, 16, 8, 4, 2
LOSSY_TOLERANCE = 30
"""Chroma has half the resolution."""

EXIF = b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"


def blend(pixels: Pixels, alpha: Pixels) -> Pixels:
    weight = alpha[:, :, np.newaxis] / 255
    rounded: Pixels = np.rint(pixels * weight + 255 * (1 - weight)).astype(np.uint8)
    return rounded


def smooth(width: int = 48, height: int = 32) -> Pixels:
    """A picture that lossy coding hardly changes."""
    rows, columns = np.mgrid[0:height, 0:width]
    channels = columns * 255 // width, rows * 255 // height, 255 - columns * 127 // width
    return np.dstack(channels).astype(np.uint8)


def lossy_chunk(pixels: Pixels) -> bytes:
    """VP8 of libwebp, out of its file."""
    body = encoded(Image.fromarray(pixels), "WEBP", quality=100)
    return body[12 : 20 + int.from_bytes(body[16:20], "little")] + bytes(body[16] % 2)


def still() -> Iterator[Variant]:
    yield Variant("webp", "lossless", "RGB", lambda: riff(lossless(PICTURE)), PICTURE)
    layers = np.dstack([PICTURE, ALPHA])
    shown = blend(PICTURE, ALPHA)
    yield Variant("webp", "lossless", "alpha", lambda: riff(lossless(layers)), shown, 1)
    head = extended(WIDTH, HEIGHT, ALPHA_FLAG)
    yield Variant("webp", "lossless", "VP8X, alpha", lambda: riff(head, lossless(layers)), shown, 1)
    plain = extended(WIDTH, HEIGHT, 0)
    yield Variant("webp", "lossless", "VP8X, RGB", lambda: riff(plain, lossless(PICTURE)), PICTURE)
    for width, height in ((1, 1), (1, 9), (17, 1), (64, 3)):
        pixels = picture(width, height)
        write = partial(lambda pixels: riff(lossless(pixels)), pixels)
        yield Variant("webp", "lossless", f"{width} x {height}", write, pixels)


def lossy() -> Iterator[Variant]:
    pixels = smooth()
    height, width, _ = pixels.shape
    alpha = np.ascontiguousarray(pixels[:, :, 0])
    image, layer = lossy_chunk(pixels), chunk(b"ALPH", b"\0" + alpha.tobytes())
    shown = blend(pixels, alpha)
    cases = {
        "simple": ((image,), pixels),
        "VP8X": ((extended(width, height, 0), image), pixels),
        "alpha that is not compressed": (
            (extended(width, height, ALPHA_FLAG), layer, image),
            shown,
        ),
        "alpha whose flag is missing": ((extended(width, height, 0), layer, image), pixels),
    }
    for name, (chunks, expected) in cases.items():
        write = partial(riff, *chunks)
        yield Variant("webp", "lossy", name, write, expected, LOSSY_TOLERANCE)
    for width, height in ((1, 1), (15, 17), (33, 1)):
        pixels = smooth(width, height)
        write = partial(lambda pixels: riff(lossy_chunk(pixels)), pixels)
        yield Variant("webp", "lossy", f"{width} x {height}", write, pixels, LOSSY_TOLERANCE)


def animated() -> Iterator[Variant]:
    head = extended(60, 50, ANIMATION_FLAG | ALPHA_FLAG)
    loop = chunk(b"ANIM", b"\0\0\xff\xff\0\0")
    other = np.zeros((4, 4, 3), np.uint8)
    layers = np.dstack([PICTURE, ALPHA])
    for name, pixels, shown in (
        ("RGB", PICTURE, PICTURE),
        ("alpha", layers, blend(PICTURE, ALPHA)),
    ):
        for left, top in ((0, 0), (10, 20)):
            first = webp.frame(left, top, WIDTH, HEIGHT, lossless(pixels))
            second = webp.frame(0, 0, 4, 4, lossless(other))
            expected = np.full((50, 60, 3), 255, np.uint8)
            expected[top : top + HEIGHT, left : left + WIDTH] = shown
            write = partial(riff, head, loop, first, second)
            yield Variant("webp", "first frame", f"{name}, at {left}, {top}", write, expected, 1)
            cut = partial(lambda whole: whole()[:-30], write)
            name_of_cut = f"{name}, at {left}, {top}, of a file that ends in its second"
            yield Variant("webp", "first frame", name_of_cut, cut, expected, 1)


def metadata() -> Iterator[Variant]:
    image = lossless(PICTURE)
    head = extended(WIDTH, HEIGHT, PROFILE_FLAG | EXIF_FLAG | XMP_FLAG)
    cases: dict[str, tuple[bytes, ...]] = {
        "flags without chunks": (head, image),
        "chunks without VP8X": (image, chunk(b"EXIF", b"broken"), chunk(b"XMP ", b"broken")),
        "broken EXIF": (head, image, chunk(b"EXIF", b"II*\0\xff\xff\xff\xff")),
        "broken profile": (head, chunk(b"ICCP", b"broken"), image),
        "empty profile": (head, chunk(b"ICCP", b""), image),
        "long XMP": (head, image, chunk(b"XMP ", b"x" * 1_000_000)),
        "unknown chunks": (head, chunk(b"teSt", b"odd"), image, chunk(b"teSt", b"")),
        "cut in its EXIF": (head, image, chunk(b"EXIF", bytes(99))[:40]),
    }
    for name, chunks in cases.items():
        yield Variant("webp", "metadata", name, partial(riff, *chunks), PICTURE)
    wrong_size = b"RIFF\xff\xff\0\0WEBP" + image
    yield Variant(
        "webp", "metadata", "wrong length of the file", partial(bytes, wrong_size), PICTURE
    )
    for name, part in {
        "EXIF": chunk(b"EXIF", EXIF),
        "EXIF with a prefix": chunk(b"EXIF", b"Exif\0\0" + EXIF),
        "XMP": chunk(b"XMP ", b'<rdf:Description tiff:Orientation="6"/>'),
    }.items():
        turned = np.rot90(PICTURE, -1)
        yield Variant("webp", "orientation", name, partial(riff, head, image, part), turned)


def refused() -> Iterator[Variant]:
    image = lossless(PICTURE)
    mismatch = extended(99, 99, 0)
    outside = extended(20, 20, ANIMATION_FLAG)
    first = webp.frame(0, 0, WIDTH, HEIGHT, image)
    cases: dict[str, tuple[bytes, ...]] = {
        "picture of another size": (mismatch, image),
        "frame beyond the canvas": (outside, chunk(b"ANIM", bytes(6)), first),
        "no picture": (extended(WIDTH, HEIGHT, 0), chunk(b"EXIF", b"")),
    }
    for name, chunks in cases.items():
        yield Variant("webp", "damaged", name, partial(riff, *chunks), "corrupt")
    whole = riff(image)
    for name, length in {"half of it": len(whole) // 2, "one byte": len(whole) - 2}.items():
        yield Variant("webp", "cut short", name, partial(bytes, whole[:length]), "truncated")


VARIANTS = (*still(), *lossy(), *animated(), *metadata(), *refused())
