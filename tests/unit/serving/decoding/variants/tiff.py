"""Variants of TIFF: how numbers are stored, what they mean, and how they are packed."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.builders.formats import tiff
from tests.support.builders.formats.tiff import SHORT, Layout, Order
from tests.unit.serving.decoding.variants.variant import (
    Pixels,
    Variant,
    grey_picture,
    picture,
    repeat_grey,
)

PICTURE = picture()
HEIGHT, WIDTH, _ = PICTURE.shape
GREY = grey_picture()[:, :, np.newaxis]
ALPHA = np.ascontiguousarray(picture()[:, :, :1])
ORDERS: tuple[Order, Order] = ("<", ">")
ORDER_NAMES = {"<": "little-endian", ">": "big-endian"}
DEPTHS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 20, 24, 30, 31, 32)
PHOTOMETRICS = {0: "white is zero", 1: "black is zero"}
COMPRESSIONS = {
    1: "not compressed",
    5: "LZW",
    8: "deflate",
    32946: "old deflate",
    32773: "PackBits",
    34925: "LZMA",
    50000: "Zstandard",
}


def scale(levels: NDArray[np.uint8], bits: int) -> NDArray[Any]:
    """Levels of 0 to 255 as numbers of so many bits."""
    kind = "u1" if bits <= 8 else "u2" if bits <= 16 else "u4"
    return np.rint(levels / 255 * ((1 << bits) - 1)).astype(kind)


def expect(levels: NDArray[np.uint8], bits: int) -> Pixels:
    """What remains of levels that are stored in so many bits."""
    if bits < 8:
        top = (1 << bits) - 1
        levels = np.rint(scale(levels, bits) / top * 255).astype(np.uint8)
    return levels if levels.shape[2] == 3 else repeat_grey(levels[:, :, 0])


def write(
    samples: NDArray[Any], bits: int, photometric: int, layout: Layout, family: str, name: str,
    expected: Pixels | Any, tolerance: int = 0,
) -> Variant:  # fmt: skip
    make = partial(tiff.write, samples, bits, photometric, layout)
    return Variant("tiff", family, name, make, expected, tolerance)


def depths() -> Iterator[Variant]:
    for order in ORDERS:
        for bits in DEPTHS:
            name = f"{bits} bits, {ORDER_NAMES[order]}"
            layout, numbers = Layout(order), scale(GREY, bits)
            for photometric, meaning in PHOTOMETRICS.items():
                values = numbers if photometric else ((1 << bits) - 1) - numbers
                yield write(
                    values,
                    bits,
                    photometric,
                    layout,
                    "grey",
                    f"{name}, {meaning}",
                    expect(GREY, bits),
                )
            for is_planar in (False, True):
                yield write(
                    scale(PICTURE, bits), bits, 2, replace(layout, is_planar=is_planar), "RGB",
                    f"{name}{', planes' if is_planar else ''}", expect(PICTURE, bits),
                )  # fmt: skip


def packings() -> Iterator[Variant]:
    """Every compression with every predictor, in strips, tiles and planes."""
    places = {
        "one strip": Layout(),
        "strips of 5 rows": Layout(rows_per_strip=5),
        "tiles": Layout(tile=(16, 32)),
        "planes in strips": Layout(is_planar=True, rows_per_strip=7),
        "planes in tiles": Layout(is_planar=True, tile=(32, 16)),
    }
    for compression, codec in COMPRESSIONS.items():
        predictors = (1, 2) if compression not in (1, 32773) else (1,)
        for place, layout in places.items():
            for order in ORDERS:
                for bits in (4, 8, 16, 24, 32):
                    for predictor in predictors if bits in (8, 16, 32) else (1,):
                        yield write(
                            scale(PICTURE, bits), bits, 2,
                            replace(
                                layout, order=order, compression=compression, predictor=predictor
                            ),
                            codec,
                            f"{bits} bits, {place}, predictor {predictor}, {ORDER_NAMES[order]}",
                            expect(PICTURE, bits),
                        )  # fmt: skip


def fax() -> Iterator[Variant]:
    """CCITT, and bits in the other order."""
    codecs: dict[str, tuple[int, dict[int, tuple[int, list[int]]]]] = {
        "CCITT run lengths": (2, {}),
        "CCITT group 3": (3, {}),
        "CCITT group 4": (4, {}),
        "not compressed": (1, {}),
        "PackBits": (32773, {}),
        "LZW": (5, {}),
    }
    bits = scale(GREY, 1)
    for codec, (compression, tags) in codecs.items():
        for photometric, meaning in PHOTOMETRICS.items():
            for fill_order in (1, 2):
                for rows in (0, 6):
                    layout = Layout(
                        compression=compression, fill_order=fill_order, rows_per_strip=rows,
                        tags=dict(tags),
                    )  # fmt: skip
                    yield write(
                        bits if photometric else 1 - bits, 1, photometric, layout, "bilevel",
                        f"{codec}, {meaning}, fill order {fill_order}, rows {rows}",
                        expect(GREY, 1),
                    )  # fmt: skip
    for bits_, compression in ((8, 1), (16, 1), (8, 5), (8, 8), (4, 1)):
        layout = Layout(fill_order=2, compression=compression)
        yield write(
            scale(PICTURE, bits_), bits_, 2, layout, "bits in the other order",
            f"RGB, {bits_} bits, {COMPRESSIONS[compression]}", expect(PICTURE, bits_),
        )  # fmt: skip


def transparent() -> Iterator[Variant]:
    alpha = ALPHA.astype(float) / 255
    for name, colours in {"grey": GREY, "RGB": PICTURE}.items():
        rgb = colours if colours.shape[2] == 3 else repeat_grey(colours[:, :, 0])
        blended = np.rint(rgb * alpha + 255 * (1 - alpha)).astype(np.uint8)
        multiplied = np.rint(colours * alpha).astype(np.uint8)
        for bits in (8, 16):
            for order in ORDERS:
                for is_planar in (False, True):
                    kinds = {
                        "unassociated alpha": (colours, [2], blended),
                        "associated alpha": (multiplied, [1], blended),
                        "a mask": (colours, [0], rgb),
                    }
                    if name == "RGB":
                        kinds["alpha without its tag"] = (colours, [], blended)
                        kinds["alpha behind a mask"] = (colours, [0, 2], blended)
                        kinds["two masks"] = (colours, [0, 0], rgb)
                    for kind, (shown, extras, expected) in kinds.items():
                        masks = [255 - ALPHA] * (extras == [0, 2])
                        more = [*masks, ALPHA] if extras != [0, 0] else [ALPHA, ALPHA]
                        tags = {338: (SHORT, extras)} if extras else {}
                        layout = Layout(order, is_planar=is_planar, tags=tags)
                        planes = ", planes" if is_planar else ""
                        yield write(
                            scale(np.concatenate([shown, *more], axis=2), bits), bits,
                            2 if name == "RGB" else 1, layout, "alpha",
                            f"{name}, {kind}, {bits} bits, {ORDER_NAMES[order]}{planes}",
                            expected, 1,
                        )  # fmt: skip


def palettes() -> Iterator[Variant]:
    for bits in (1, 2, 3, 4, 5, 6, 7, 8, 12, 16):
        colours = 1 << bits
        random = np.random.default_rng(bits)
        table = random.integers(0, 256, (colours, 3), np.uint8)
        table[0] = 255, 254, 3
        indexes = random.integers(0, colours, (HEIGHT, WIDTH, 1), np.uint16)
        maps = {
            "16-bit": table.astype(int) * 257,
            "shifted 16-bit": table.astype(int) << 8,
            "8-bit": table,
        }
        for width, values in maps.items():
            for order in ORDERS:
                tags = {320: (SHORT, values.astype(int).T.ravel().tolist())}
                if bits == 16 and width == "8-bit":
                    continue
                yield write(
                    indexes, bits, 3, Layout(order, tags=tags), "palette",
                    f"{bits} bits, {width} colour map, {ORDER_NAMES[order]}",
                    table[indexes[:, :, 0]],
                )  # fmt: skip


VARIANTS = (*depths(), *packings(), *fax(), *transparent(), *palettes())
