"""Variants of TIFF: how numbers are stored, what they mean, and how they are packed."""

import struct
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.decoding import orientation
from serving.decoding.undecodable import Code
from tests.support.builders.formats import tiff
from tests.support.builders.formats.tiff import (
    FLOAT_TYPE,
    LONG,
    RATIONAL,
    SHORT,
    Layout,
    Order,
)
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


def inks() -> Iterator[Variant]:
    inks = 255 - np.dstack([PICTURE, np.maximum(GREY, 40)])
    lights = 255.0 - inks
    expected = np.rint(lights[:, :, :3] * lights[:, :, 3:] / 255).astype(np.uint8)
    masked = np.dstack([inks, ALPHA])
    for bits in (8, 16):
        for order in ORDERS:
            for is_planar in (False, True):
                name = f"{bits} bits, {ORDER_NAMES[order]}{', planes' if is_planar else ''}"
                layout = Layout(order, is_planar=is_planar)
                yield write(scale(inks, bits), bits, 5, layout, "CMYK", name, expected)
                layout = replace(layout, tags={338: (SHORT, [0])})
                yield write(
                    scale(masked, bits), bits, 5, layout, "CMYK", f"{name}, a mask", expected
                )
    for name, tags in {"other inks": {332: (SHORT, [2])}, "alpha": {338: (SHORT, [2])}}.items():
        samples = masked if name == "alpha" else inks
        yield write(samples, 8, 5, Layout(tags=tags), "CMYK", name, "unsupported_format")


def floats() -> Iterator[Variant]:
    for kind in ("f2", "f4", "f8"):
        bits = 8 * int(kind[1])
        shares = (PICTURE / 255).astype(kind)
        for order in ORDERS:
            for place, layout in {
                "one strip": Layout(order),
                "planes in tiles": Layout(order, is_planar=True, tile=(16, 16)),
                "deflate": Layout(order, compression=8, rows_per_strip=4),
                "deflate, predictor 2": Layout(order, compression=8, predictor=2),
                "deflate, predictor 3": Layout(order, compression=8, predictor=3),
                "LZW, predictor 3, planes": Layout(
                    order, compression=5, predictor=3, is_planar=True
                ),
            }.items():
                name = f"{bits} bits, {place}, {ORDER_NAMES[order]}"
                yield write(shares, bits, 2, layout, "floats", name, PICTURE)
        grey = (GREY / 255).astype(kind)
        family, expected = "floats", repeat_grey(GREY[:, :, 0])
        yield write(1 - grey, bits, 0, Layout(), family, f"{bits} bits, white is zero", expected, 1)
        yield write(255 * grey, bits, 1, Layout(), family, f"{bits} bits, 0 to 255", expected)
        if bits > 16:
            whole = np.rint(grey.astype("f8") * 65_535).astype(kind)
            yield write(whole, bits, 1, Layout(), family, f"{bits} bits, 0 to 65535", expected)
    grey, expected = (GREY / 255).astype("f4"), repeat_grey(GREY[:, :, 0]).copy()
    for name, value, level in (
        ("a pixel of 1.0000001", 1.0000001, 255), ("a pixel of 40", 40, 255),
        ("a pixel of -1", -1, 0), ("no number", np.nan, 0), ("an infinite one", np.inf, 0),
    ):  # fmt: skip
        odd, shown = grey.copy(), expected.copy()
        odd[3, 4], shown[3, 4] = value, level
        yield write(odd, 32, 1, Layout(), "floats", name, shown)
    for padding in (255, 65_535, -40, 0.3):
        layout = Layout(tile=(64, 80), padding=padding)
        name = f"tiles padded with {padding}"
        yield write(grey, 32, 1, layout, "floats", name, expected)
        yield write(255 * grey, 32, 1, layout, "floats", f"0 to 255, {name}", expected)
    for name, values in {
        "heights": grey * 900 - 40, "fractions of 255": grey * 254.5, "negative": -grey,
    }.items():  # fmt: skip
        yield write(values, 32, 1, Layout(), "floats", name, "unsupported_format")


def integers() -> Iterator[Variant]:
    """32 bits without a declared range, and signed numbers."""
    expected = repeat_grey(GREY[:, :, 0])
    signed = {339: (SHORT, [2])}
    for order in ORDERS:
        for name, white in {"255": 255, "65535": 65_535}.items():
            numbers = np.rint(GREY / 255 * white).astype("u4")
            for kind, tags in {"unsigned": {}, "signed": signed}.items():
                layout = Layout(order, tags=tags)
                name_ = f"32 bits, {kind}, 0 to {name}, {ORDER_NAMES[order]}"
                yield write(numbers, 32, 1, layout, "integers", name_, expected)
    numbers = np.rint(GREY / 255 * (2**31 - 1)).astype("u4")
    yield write(numbers, 32, 1, Layout(tags=signed), "integers", "32 bits, signed, all", expected)
    odd = GREY.astype("u4")
    odd[4, 4] = 2**32 - 1
    shown = expected.copy()
    shown[4, 4] = 255
    yield write(odd, 32, 1, Layout(), "integers", "32 bits, one of them large", shown)
    for name, white in {"255": 255, "65535": 65_535}.items():
        numbers = np.rint(GREY / 255 * white).astype("u4")
        for is_planar in (False, True):
            layout = Layout(tile=(64, 80), padding=2**32 - 1, is_planar=is_planar)
            name_ = f"32 bits, 0 to {name}, tiles padded with the largest number"
            name_ += ", planes" if is_planar else ""
            colours = np.concatenate([numbers] * 3, axis=2)
            yield write(colours, 32, 2, layout, "integers", name_, expected)
    for name, values in {
        "to 100000": GREY.astype("u4") * 400,
        "negative": -GREY.astype("i4"),
    }.items():
        yield write(
            values, 32, 1, Layout(tags=signed), "integers", f"32 bits, {name}", "unsupported_format"
        )
    for bits in (8, 16):
        values = scale(GREY, bits)
        yield write(
            values, bits, 1, Layout(tags=signed), "integers", f"{bits} bits, signed",
            "unsupported_format",
        )  # fmt: skip
    yield write(GREY, 8, 1, Layout(tags={339: (SHORT, [4])}), "integers", "undefined", expected)


def chroma() -> Iterator[Variant]:
    """YCbCr outside of JPEG; units of one colour lose nothing by subsampling."""
    for across, down in ((1, 1), (2, 1), (2, 2), (1, 2), (4, 1), (4, 2), (4, 4), (2, 4)):
        units = PICTURE[::4, ::4].repeat(4, axis=0).repeat(4, axis=1)[:HEIGHT, :WIDTH]
        expected, ycc = units, tiff.to_ycbcr(units)
        for place, layout in {
            "one strip": Layout(), "strips of 8 rows": Layout(rows_per_strip=8),
            "tiles": Layout(tile=(16, 16)), "LZW": Layout(compression=5),
            "big-endian": Layout(">"),
        }.items():  # fmt: skip
            name = f"chroma {across} x {down}, {place}"
            make = partial(tiff.write_ycbcr, ycc, (across, down), layout)
            yield Variant("tiff", "YCbCr", name, make, expected, 2)
    studio = tiff.to_ycbcr(units) * np.array([219, 224, 224]) / 255 + np.array([16, 16, 16])
    limits = [16, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1]
    layout = Layout(tags={532: (RATIONAL, limits)})
    make = partial(tiff.write_ycbcr, np.rint(studio).astype(np.uint8), (1, 1), layout)
    yield Variant("tiff", "YCbCr", "black of 16, white of 235", make, units, 4)
    make = partial(tiff.write_ycbcr, ycc, (1, 1), Layout(tags={532: (RATIONAL, [0, 0] * 6)}))
    yield Variant("tiff", "YCbCr", "nonsense for black and white", make, units, 2)


def jpeg_compressed() -> Iterator[Variant]:
    smooth = picture(48, 32)
    smooth[:] = np.linspace(30, 220, 48).astype(np.uint8)[np.newaxis, :, np.newaxis]
    smooth[:, :, 1] = np.linspace(220, 30, 32).astype(np.uint8)[:, np.newaxis]
    grey = smooth[:, :, :1]
    inks = np.dstack([255 - smooth, np.zeros_like(grey)])
    sources = {
        "grey": (grey, 1, repeat_grey(grey[:, :, 0])),
        "grey, white is zero": (255 - grey, 0, repeat_grey(grey[:, :, 0])),
        "RGB": (smooth, 2, smooth),
        "YCbCr": (smooth, 6, smooth),
        "CMYK": (inks, 5, smooth),
    }
    for name, (samples, photometric, expected) in sources.items():
        for place, layout in {
            "one strip": Layout(), "strips of 16 rows": Layout(rows_per_strip=16),
            "tiles": Layout(tile=(16, 16)), "big-endian": Layout(">"),
            "planes": Layout(is_planar=True),
        }.items():  # fmt: skip
            for tables in (False, True):
                make = partial(
                    tiff.write_jpeg, samples, photometric, replace(layout, compression=7), tables
                )
                refused = photometric == 6 and layout.is_planar
                yield Variant(
                    "tiff", "JPEG compression", f"{name}, {place}{', tables' if tables else ''}",
                    make, "unsupported_format" if refused else expected, 6,
                )  # fmt: skip


def lab() -> Iterator[Variant]:
    pale = PICTURE // 2 + 64
    numbers = tiff.to_lab(pale)
    for bits in (8, 16):
        for photometric, name in {8: "CIE", 9: "ICC"}.items():
            levels = numbers if photometric == 9 else numbers ^ np.array([0, 128, 128], np.uint8)
            samples = levels if bits == 8 else levels.astype(np.uint16) << 8
            yield write(
                samples, bits, photometric, Layout(), "L*a*b*", f"{name}, {bits} bits", pale, 6
            )


def structures() -> Iterator[Variant]:
    """Directories that programs write, correct or nearly so."""
    full = 2**32 - 1
    layouts = {
        "BigTIFF": Layout(is_big=True),
        "BigTIFF, big-endian": Layout(">", is_big=True),
        "BigTIFF, tiles": Layout(is_big=True, tile=(16, 16)),
        "strips of one row": Layout(rows_per_strip=1),
        "deflate, strips of one row": Layout(compression=8, rows_per_strip=1),
        "rows per strip without end": Layout(tags={278: (LONG, [full])}),
        "no rows per strip": Layout(without=(278,)),
        "no lengths of strips": Layout(without=(279,)),
        "no lengths, LZW": Layout(compression=5, without=(279,)),
        "no bits of samples but one": Layout(tags={258: (SHORT, [8])}),
        "no photometric": Layout(without=(262,)),
        "no planar configuration": Layout(without=(284,)),
        "sizes of two bytes": Layout(tags={256: (SHORT, [WIDTH]), 257: (SHORT, [HEIGHT])}),
        "sizes of one byte": Layout(tags={256: (1, [WIDTH]), 257: (1, [HEIGHT])}),
        "lengths too long": Layout(tags={279: (LONG, [10**6])}),
        "LZW, lengths too long": Layout(compression=5, tags={279: (LONG, [10**6])}),
        "a broken resolution": Layout(tags={282: (RATIONAL, [1, 0]), 296: (99, [])}),
        "a profile of noise": Layout(tags={34675: (7, list(range(256)))}),
        "large tiles": Layout(tile=(256, 512)),
        "unknown tags": Layout(tags={60_000: (SHORT, [1]), 60_001: (7, [1] * 90)}),
    }
    for name, layout in layouts.items():
        yield write(PICTURE, 8, 2, layout, "structure", name, PICTURE)
    for number in range(9):
        layout = Layout(tags={274: (SHORT, [number])})
        turned = orientation.turn(PICTURE, number)
        yield write(PICTURE, 8, 2, layout, "structure", f"orientation {number}", turned)
    make = partial(tiff.write_pages, [(PICTURE[::2, ::2], 1), (PICTURE, 0), (PICTURE[::-1], 0)])
    yield Variant("tiff", "structure", "a thumbnail first", make, "unsupported_format")
    make = partial(tiff.write_pages, [(PICTURE, 0), (PICTURE[::2, ::2], 1)])
    yield Variant("tiff", "structure", "a thumbnail last", make, PICTURE)
    make = partial(tiff.write_pages, [(PICTURE, 1)])
    yield Variant("tiff", "structure", "nothing but a thumbnail", make, "unsupported_format")


MALFORMED: dict[str, tuple[int, list[Any]]] = {
    "not a number": (FLOAT_TYPE, [float("nan")]),
    "infinite": (FLOAT_TYPE, [float("inf")]),
    "a quotient by zero": (RATIONAL, [1, 0]),
    "of no type": (99, [1]),
    "text": (2, [0x30, 0x30]),
    "without values": (SHORT, []),
}
"""Values of tags that only hint: no sample depends on them."""

HINTS = {254: "NewSubfileType", 255: "SubfileType", 274: "Orientation"}


def hints() -> Iterator[Variant]:
    """Malformed tags about pixels that are whole."""
    for number, tag in HINTS.items():
        for name, (kind, values) in MALFORMED.items():
            layout = Layout(tags={number: (kind, values)})
            yield write(PICTURE, 8, 2, layout, "malformed tags", f"{tag}, {name}", PICTURE)
        for order in ORDERS:
            name = f"{tag}, beyond the file, {ORDER_NAMES[order]}"
            body = tiff.write(PICTURE, 8, 2, Layout(order, tags={number: (LONG, [1])}))
            entry, far = (struct.pack(f"{order}HHI", number, LONG, count) for count in (1, 9_999))
            make = partial(body.replace, entry, far)
            yield Variant("tiff", "malformed tags", name, make, PICTURE)
    units = PICTURE[::4, ::4].repeat(4, axis=0).repeat(4, axis=1)[:HEIGHT, :WIDTH]
    tiny: dict[str, tuple[int, list[Any]]] = {"far too small": (FLOAT_TYPE, [1e-38])}
    for number, (name, count) in {
        529: ("YCbCrCoefficients", 3),
        532: ("ReferenceBlackWhite", 6),
    }.items():
        for how, (kind, values) in (MALFORMED | tiny).items():
            layout = Layout(tags={number: (kind, values * count)})
            make = partial(tiff.write_ycbcr, tiff.to_ycbcr(units), (1, 1), layout)
            yield Variant("tiff", "malformed tags", f"{name}, {how}", make, units, 2)
    for name, tags in {
        "width": {256: MALFORMED["not a number"]},
        "height": {257: (99, [23])},
    }.items():
        yield write(PICTURE, 8, 2, Layout(tags=tags), "malformed tags", name, "corrupt")


def refused() -> Iterator[Variant]:
    five = np.concatenate([PICTURE, PICTURE[:, :, :2]], axis=2)
    codecs = (6, 9, 32766, 32809, 32909, 34661, 34712, 34887, 50001, 50002, 4711)
    unsupported = {
        **{f"compression {codec}": (PICTURE, 2, {259: (SHORT, [codec])}) for codec in codecs},
        **{
            f"photometric {number}": (GREY, number, {})
            for number in (4, 10, 32803, 32844, 34892, 99)
        },
        "different depths": (PICTURE, 2, {258: (SHORT, [5, 6, 5])}),
        "different kinds of numbers": (PICTURE, 2, {339: (SHORT, [1, 1, 3])}),
        "complex numbers": (GREY, 1, {339: (SHORT, [6])}),
        "64-bit integers": (GREY, 1, {258: (SHORT, [64])}),
        "24-bit floats": (GREY, 1, {258: (SHORT, [24]), 339: (SHORT, [3])}),
        "three channels without colours": (PICTURE, 1, {338: (SHORT, [0, 0])}),
        "two channels of unknown meaning": (PICTURE[:, :, :2], 1, {}),
        "five channels of unknown meaning": (five, 2, {}),
        "channels of another kind": (np.dstack([PICTURE, GREY]), 2, {338: (SHORT, [7])}),
        "100 channels": (GREY, 1, {277: (SHORT, [100])}),
        "fax-compressed colours": (PICTURE, 2, {259: (SHORT, [4])}),
        "12-bit JPEG": (GREY, 1, {258: (SHORT, [12]), 259: (SHORT, [7])}),
        "an unknown predictor": (GREY, 1, {259: (SHORT, [5]), 317: (SHORT, [34892])}),
        "floating-point predictor of integers": (GREY, 1, {259: (SHORT, [5]), 317: (SHORT, [3])}),
        "a predictor of 4 bits": (
            GREY, 1, {258: (SHORT, [4]), 259: (SHORT, [5]), 317: (SHORT, [2])}
        ),
    }  # fmt: skip
    for name, (samples, photometric, tags) in unsupported.items():
        layout = Layout(tags=tags)
        yield write(samples, 8, photometric, layout, "refused", name, "unsupported_format")
    damaged: dict[str, tuple[dict[int, Any], Code]] = {
        "no width": ({256: (LONG, [0])}, "corrupt"),
        "one colour of three": ({277: (SHORT, [1])}, "corrupt"),
        "a strip behind the end": ({273: (LONG, [10**6])}, "truncated"),
        "a strip that is too short": ({279: (LONG, [100])}, "truncated"),
        "fewer strips than rows": ({278: (LONG, [1])}, "truncated"),
        "a palette that is missing": ({262: (SHORT, [3]), 277: (SHORT, [1])}, "corrupt"),
        "tiles of no width": ({322: (LONG, [0]), 323: (LONG, [16])}, "corrupt"),
        "tiles far larger than the image": (
            {322: (LONG, [50_000]), 323: (LONG, [50_000])}, "too_expensive",
        ),
        "LZW that is none": ({259: (SHORT, [5])}, "corrupt"),
        "deflate that is none": ({259: (SHORT, [8])}, "corrupt"),
    }  # fmt: skip
    for name, (tags, code) in damaged.items():
        yield write(PICTURE, 8, 2, Layout(tags=tags), "damaged", name, code)


VARIANTS = (
    *depths(), *packings(), *fax(), *transparent(), *palettes(), *inks(), *floats(), *integers(),
    *chroma(), *jpeg_compressed(), *lab(), *structures(), *hints(), *refused(),
)  # fmt: skip
