"""Variants of GIF: palettes, interlace, transparency, frames smaller or larger than the screen."""

from collections.abc import Iterator
from functools import partial
from itertools import product

import numpy as np
from numpy.typing import NDArray

from tests.support.builders.formats import gif
from tests.support.builders.formats.gif import TRAILER, extension, frame, graphic_control, screen
from tests.unit.serving.decoding.variants.variant import Pixels, Variant, grey_picture

LEVELS = grey_picture()
HEIGHT, WIDTH = LEVELS.shape
WHITE = 255


def palette_of(count: int) -> NDArray[np.uint8]:
    numbers = np.arange(count)
    channels = (numbers * 7 % 256, 255 - numbers * 3 % 256, numbers * 29 % 256)
    return np.stack([channel.astype(np.uint8) for channel in channels], axis=1)


def indices_of(bits: int) -> NDArray[np.uint8]:
    return np.ascontiguousarray(LEVELS >> (8 - bits))


def joined(*parts: bytes) -> partial[bytes]:
    return partial(bytes.join, b"", parts)


def palettes() -> Iterator[Variant]:
    for bits, interlaced, is_local in product(range(1, 9), (False, True), (False, True)):
        colours = palette_of(1 << bits)
        indices = indices_of(bits)
        own = colours.tobytes() if is_local else b""
        other = palette_of(256)[::-1].tobytes() if is_local else colours.tobytes()
        parts = (
            screen(WIDTH, HEIGHT, other),
            frame(indices, bits, palette=own, interlaced=interlaced),
        )
        name = f"{1 << bits} colours, {'local' if is_local else 'global'}"
        name += ", interlaced" if interlaced else ""
        yield Variant("gif", "palettes", name, joined(*parts, TRAILER), colours[indices])
    ramp = np.arange(256, dtype=np.uint8)
    grey = np.stack([ramp] * 3, axis=1)
    for name, colours in {"grey": grey, "inverted grey": grey[::-1].copy()}.items():
        parts = screen(WIDTH, HEIGHT, colours.tobytes()), frame(LEVELS, 8)
        yield Variant("gif", "palettes", name, joined(*parts, TRAILER), colours[LEVELS])
    colours = palette_of(256)
    short = np.where(np.arange(256)[:, np.newaxis] < 16, colours, 0).astype(np.uint8)
    parts = screen(WIDTH, HEIGHT, colours[:16].tobytes()), frame(LEVELS, 8)
    name = "colours beyond its end are black"
    yield Variant("gif", "palettes", name, joined(*parts, TRAILER), short[LEVELS])
    parts = screen(WIDTH, HEIGHT), frame(LEVELS, 8)
    yield Variant("gif", "without a palette", "256 indices", joined(*parts), "unsupported_format")


def transparent() -> Iterator[Variant]:
    colours, indices = palette_of(16), indices_of(4)
    head, image = screen(WIDTH, HEIGHT, colours.tobytes()), frame(indices, 4)
    for index in (0, 7, 15):
        expected = np.where((indices == index)[:, :, np.newaxis], WHITE, colours[indices])
        for disposal in range(4):
            parts = head, graphic_control(index, disposal), image, TRAILER
            name = f"index {index}, disposal {disposal}"
            yield Variant("gif", "transparency", name, joined(*parts), expected.astype(np.uint8))
    parts = head, graphic_control(200), image, TRAILER
    yield Variant(
        "gif", "transparency", "index that does not occur", joined(*parts), colours[indices]
    )
    parts = head, graphic_control(None), image, TRAILER
    yield Variant("gif", "transparency", "none", joined(*parts), colours[indices])


def frames() -> Iterator[Variant]:
    colours, indices = palette_of(16), indices_of(4)
    table = colours.tobytes()
    shown = colours[indices]

    def on_screen(width: int, height: int, left: int, top: int) -> Pixels:
        canvas = np.full((max(height, top + HEIGHT), max(width, left + WIDTH), 3), WHITE, np.uint8)
        canvas[top : top + HEIGHT, left : left + WIDTH] = shown
        return canvas

    places = {
        "in the middle of its screen": (60, 50, 10, 20),
        "in the first corner": (60, 50, 0, 0),
        "beyond the screen": (20, 10, 0, 0),
        "partly beyond the screen": (40, 40, 30, 30),
        "on a screen of no size": (0, 0, 0, 0),
    }
    for name, (width, height, left, top) in places.items():
        parts = screen(width, height, table), frame(indices, 4, (left, top)), TRAILER
        expected = on_screen(width, height, left, top)
        yield Variant("gif", "first frame", name, joined(*parts), expected)
    second = frame(np.zeros((5, 5), np.uint8), 4)
    for disposal in range(4):
        parts = screen(WIDTH, HEIGHT, table), graphic_control(None, disposal), frame(indices, 4)
        rest = graphic_control(), second, second, TRAILER
        name = f"of an animation, disposal {disposal}"
        yield Variant("gif", "first frame", name, joined(*parts, *rest), shown)
    for width, height in ((1, 1), (1, 9), (9, 1), (2, 3)):
        small = indices[:height, :width]
        parts = screen(width, height, table), frame(small, 4, interlaced=True), TRAILER
        yield Variant("gif", "sizes", f"{width} x {height}", joined(*parts), colours[small])


def blocks() -> Iterator[Variant]:
    colours, indices = palette_of(16), indices_of(4)
    head, image = screen(WIDTH, HEIGHT, colours.tobytes()), frame(indices, 4)
    shown = colours[indices]
    old = screen(WIDTH, HEIGHT, colours.tobytes(), b"GIF87a")
    cases = {
        "GIF87a": (old, image, TRAILER),
        "comment": (head, extension(0xFE, b"comment"), image, TRAILER),
        "long comment": (head, extension(0xFE, b"x" * 600_000), image, TRAILER),
        "XMP of Photoshop": (head, extension(0xFF, b"XMP DataXMP" + bytes(999)), image, TRAILER),
        "loop that is malformed": (head, extension(0xFF, b"NETSCAPE2.0"), image, TRAILER),
        "plain text": (head, extension(0x01, bytes(12)), image, TRAILER),
        "unknown extension": (head, extension(0x77, b"anything"), image, TRAILER),
        "one empty part too many": (head, extension(0xFE, b"a"), b"\0", image, TRAILER),
        "no trailer": (head, image),
        "junk behind it": (head, image, TRAILER, b"junk" * 999),
        "junk instead of a second frame": (head, image, b"junk" * 999),
        "comment behind the pixels that is cut": (head, image, b"\x21\xfe\xffshort"),
    }
    for name, parts in cases.items():
        yield Variant("gif", "blocks", name, joined(*parts), shown)
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 256, (120, 130), np.uint8)
    table = palette_of(256)
    place = b"\x2c" + b"\0" * 4 + b"\x82\0\x78\0\0"
    for clears in (True, False):
        packed = gif.compress(noise.tobytes(), 8, clears)
        data = b"\x08" + b"".join(
            bytes((len(packed[at : at + 255]),)) + packed[at : at + 255]
            for at in range(0, len(packed), 255)
        )
        parts = screen(130, 120, table.tobytes()), place, data, b"\0", TRAILER
        name = "full dictionary, " + ("cleared" if clears else "kept")
        yield Variant("gif", "blocks", name, joined(*parts), table[noise])
    whole = b"".join((head, image, TRAILER))
    for name, length in {"its data": len(whole) - 200, "its head": 30}.items():
        yield Variant("gif", "cut short", name, partial(bytes, whole[:length]), "truncated")
    yield Variant("gif", "damaged", "no frame", joined(head, b"\x99" * 99), "corrupt")
    yield Variant("gif", "damaged", "trailer at once", joined(head, TRAILER, bytes(20)), "corrupt")


VARIANTS = (*palettes(), *transparent(), *frames(), *blocks())
