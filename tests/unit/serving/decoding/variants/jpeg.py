"""Variants of JPEG: colours, sampling, scans, restarts, and segments that decide nothing."""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from math import ceil

import numpy as np
from numpy.typing import NDArray

from tests.support.builders.formats import jpeg
from tests.support.builders.formats.jpeg import Component, Layout, segment
from tests.unit.serving.decoding.variants.variant import Pixels, Variant, repeat_grey

WIDTH, HEIGHT = 53, 39
SIZE = (WIDTH, HEIGHT)
TOLERANCE = 6
"""Quantisation, and the rounding of colours."""

SUBSAMPLED_TOLERANCE = 16
"""Decoders smooth colours of a lower resolution in different ways."""

Plane = NDArray[np.uint8]


def planes() -> tuple[Plane, Plane, Plane]:
    """Brightness with edges, and two smooth colour differences."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH]
    bright = 60 + (rows * 3 + columns * 2) % 130
    bright[10:20, 10:30] = 190
    blue, red = 108 + columns * 40 // WIDTH, 148 - rows * 40 // HEIGHT
    return bright.astype(np.uint8), blue.astype(np.uint8), red.astype(np.uint8)


def to_rgb(bright: Plane, blue: Plane, red: Plane) -> Pixels:
    """JFIF's conversion."""
    y, cb, cr = (plane.astype(float) for plane in (bright, blue, red))
    channels = (
        y + 1.402 * (cr - 128),
        y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128),
        y + 1.772 * (cb - 128),
    )
    rounded: Pixels = np.clip(np.rint(np.dstack(channels)), 0, 255).astype(np.uint8)
    return rounded


def reduce(plane: Plane, across: int, down: int) -> Plane:
    """Each pixel the mean of `down` x `across`; the edges are repeated."""
    height, width = ceil(plane.shape[0] / down), ceil(plane.shape[1] / across)
    missing = (0, height * down - plane.shape[0]), (0, width * across - plane.shape[1])
    blocks = np.pad(plane, missing, "edge").reshape(height, down, width, across)
    rounded: Plane = np.rint(blocks.mean(axis=(1, 3))).astype(np.uint8)
    return rounded


def components(
    layers: Sequence[Plane], factors: Sequence[tuple[int, int]] = (), ids: bytes = b"\1\2\3\4"
) -> list[Component]:
    factors = factors or [(1, 1)] * len(layers)
    most = max(across for across, _ in factors), max(down for _, down in factors)
    return [
        Component(reduce(layer, most[0] // own[0], most[1] // own[1]), own, number)
        for layer, own, number in zip(layers, factors, ids[: len(layers)], strict=True)
    ]


LAYERS = planes()
COLOURS = to_rgb(*LAYERS)
YCC = components(LAYERS)


def file_of(parts: Sequence[Component], layout: Layout, *before: bytes) -> partial[bytes]:
    return partial(jpeg.file_of, SIZE, parts, layout, *before)


def scans() -> Iterator[Variant]:
    frames = {"baseline": jpeg.BASELINE, "extended": jpeg.EXTENDED, "progressive": jpeg.PROGRESSIVE}
    for (name, frame), grey, restart in product(frames.items(), (False, True), (0, 1, 4)):
        parts = components(LAYERS[:1]) if grey else YCC
        expected = repeat_grey(LAYERS[0]) if grey else COLOURS
        label = f"{name}, {'grey' if grey else 'YCbCr'}"
        label += f", restart after {restart}" if restart else ""
        write = file_of(parts, Layout(frame, restart=restart), jpeg.jfif())
        yield Variant("jpeg", "scans", label, write, expected, TOLERANCE)
    apart = file_of(YCC, Layout(interleaved=False), jpeg.jfif())
    yield Variant("jpeg", "scans", "baseline, a scan each", apart, COLOURS, TOLERANCE)
    deep = file_of(YCC, Layout(jpeg.EXTENDED, deep_table=True), jpeg.jfif())
    yield Variant("jpeg", "scans", "extended, table of 16 bits", deep, COLOURS, TOLERANCE)


def sampling() -> Iterator[Variant]:
    cases = {
        "4:4:4, all factors two": [(2, 1)] * 3,
        "4:2:2": [(2, 1), (1, 1), (1, 1)],
        "4:2:0": [(2, 2), (1, 1), (1, 1)],
        "4:4:0": [(1, 2), (1, 1), (1, 1)],
        "4:1:1": [(4, 1), (1, 1), (1, 1)],
        "4:1:0": [(4, 2), (1, 1), (1, 1)],
        "three to one": [(3, 1), (1, 1), (1, 1)],
        "blue and red differ": [(2, 2), (2, 1), (1, 2)],
    }
    for (name, factors), frame in product(cases.items(), (jpeg.BASELINE, jpeg.PROGRESSIVE)):
        write = file_of(components(LAYERS, factors), Layout(frame), jpeg.jfif())
        label = name + (", progressive" if frame == jpeg.PROGRESSIVE else "")
        yield Variant("jpeg", "sampling", label, write, COLOURS, SUBSAMPLED_TOLERANCE)
    smooth = [(60 + np.mgrid[0:HEIGHT, 0:WIDTH][1] * 2).astype(np.uint8), *LAYERS[1:]]
    write = file_of(components(smooth, [(1, 1), (2, 1), (2, 1)]), Layout(), jpeg.jfif())
    expected = to_rgb(smooth[0], smooth[1], smooth[2])
    name = "brightness reduced"
    yield Variant("jpeg", "sampling", name, write, expected, SUBSAMPLED_TOLERANCE)
    parts = components(LAYERS[:1], [(2, 2)])
    write = file_of(parts, Layout(), jpeg.jfif())
    yield Variant("jpeg", "sampling", "grey with factors", write, repeat_grey(LAYERS[0]), TOLERANCE)
    odd = [
        Component(LAYERS[0], (3, 1), 1),
        Component(LAYERS[1][:, : WIDTH * 2 // 3], (2, 1), 2),
        Component(LAYERS[2][:, : WIDTH // 3], (1, 1), 3),
    ]
    write = file_of(odd, Layout(), jpeg.jfif())
    yield Variant("jpeg", "fractional sampling", "three to two", write, "unsupported_format")


def colours() -> Iterator[Variant]:
    rgb = [np.ascontiguousarray(COLOURS[:, :, channel]) for channel in range(3)]
    three = {
        "YCbCr, no marker": (YCC, ()),
        "YCbCr, JFIF": (YCC, (jpeg.jfif(),)),
        "YCbCr, Adobe": (YCC, (jpeg.adobe(1),)),
        "YCbCr, JFIF and Adobe": (YCC, (jpeg.jfif(), jpeg.adobe(1))),
        "YCbCr, odd component ids": (components(LAYERS, ids=b"\x23\x24\x25"), ()),
        "YCbCr, ids from zero": (components(LAYERS, ids=b"\0\1\2"), ()),
        "RGB, Adobe": (components(rgb), (jpeg.adobe(0),)),
        "RGB, by component ids": (components(rgb, ids=b"RGB"), ()),
    }
    for name, (parts, before) in three.items():
        for frame in (jpeg.BASELINE, jpeg.PROGRESSIVE):
            label = name + (", progressive" if frame == jpeg.PROGRESSIVE else "")
            write = file_of(parts, Layout(frame), *before)
            yield Variant("jpeg", "colours", label, write, COLOURS, TOLERANCE)
    black = np.full((HEIGHT, WIDTH), 50, np.uint8)
    inks = [255 - channel for channel in rgb]
    shown = np.rint(COLOURS.astype(float) * (255 - 50) / 255).astype(np.uint8)
    inverted = [255 - layer for layer in (*inks, black)]
    negative = [255 - LAYERS[0], *(255 - layer + 1 for layer in LAYERS[1:])]
    four = {
        "CMYK, no marker, inverted": (components(inverted), ()),
        "CMYK, Adobe, inverted": (components(inverted), (jpeg.adobe(0),)),
        "YCCK, Adobe, inverted": (components([*negative, 255 - black]), (jpeg.adobe(2),)),
        "YCCK, Adobe, reduced colours": (
            components([*negative, 255 - black], [(2, 2), (1, 1), (1, 1), (2, 2)]),
            (jpeg.adobe(2),),
        ),
    }
    for name, (parts, before) in four.items():
        tolerance = SUBSAMPLED_TOLERANCE if "reduced" in name else TOLERANCE
        write = file_of(parts, Layout(), *before)
        yield Variant("jpeg", "CMYK", name, write, shown, tolerance)


EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
XMP = b'http://ns.adobe.com/xap/1.0/\0<rdf:Description tiff:Orientation="6"/>'


def segments() -> Iterator[Variant]:
    junk = {
        "comment": segment(0xFE, b"comment"),
        "many comments": segment(0xFE, b"x") * 5_000,
        "broken EXIF": segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff"),
        "EXIF cut in its head": segment(0xE1, b"Exif\0\0MM"),
        "two of EXIF, the first upright": segment(0xE1, EXIF.replace(b"\0\6", b"\0\1"))
        + segment(0xE1, EXIF),
        "broken profile": segment(0xE2, b"ICC_PROFILE\0\1\1broken"),
        "profile without its second part": segment(0xE2, b"ICC_PROFILE\0\1\2broken"),
        "profile whose number is missing": segment(0xE2, b"ICC_PROFILE\0"),
        "broken MPF": segment(0xE2, b"MPF\0broken"),
        "broken Photoshop resources": segment(0xED, b"Photoshop 3.0\x008BIM\xff\xff"),
        "short JFIF": segment(0xE0, b"JFIF\0\1"),
        "short Adobe": segment(0xEE, b"Adobe\0"),
        "JFXX": segment(0xE0, b"JFXX\0\x10"),
        "empty APPn": b"".join(segment(marker, b"") for marker in range(0xE0, 0xF0)),
        "markers in APPn": segment(0xE5, b"\xff\xd9\xff\xda\xff\xc0\xff\xd8" * 9),
        "fill bytes": b"\xff\xff\xff",
        "junk between segments": jpeg.jfif() + b"\0\1\2\3junk",
        "padded APPn": segment(0xE7, b"a") + b"\0\0\0",
    }
    for name, part in junk.items():
        for frame in (jpeg.BASELINE, jpeg.PROGRESSIVE):
            label = name + (", progressive" if frame == jpeg.PROGRESSIVE else "")
            write = file_of(YCC, Layout(frame), part)
            yield Variant("jpeg", "metadata", label, write, COLOURS, TOLERANCE)
    whole = jpeg.file_of(SIZE, YCC, Layout(), jpeg.jfif())
    yield Variant(
        "jpeg", "metadata", "junk behind it", lambda: whole + b"PK\3\4" * 99, COLOURS, TOLERANCE
    )
    for name, content in {"EXIF": EXIF, "XMP": XMP}.items():
        turned = np.rot90(COLOURS, -1)
        write = file_of(YCC, Layout(), segment(0xE1, content))
        yield Variant("jpeg", "orientation", name, write, turned, TOLERANCE)


def refused() -> Iterator[Variant]:
    unsupported = {
        "12 bits": Layout(jpeg.EXTENDED, bits=12),
        "lossless": Layout(0xC3),
        "hierarchical": Layout(0xC5),
        "hierarchical, progressive": Layout(0xC6),
        "arithmetic coding": Layout(0xC9),
        "arithmetic coding, progressive": Layout(0xCA),
        "lossless, arithmetic coding": Layout(0xCB),
        "JPEG-LS": Layout(0xF7),
    }
    for name, layout in unsupported.items():
        write = file_of(YCC, layout, jpeg.jfif())
        yield Variant("jpeg", "other codings", name, write, "unsupported_format")
    two = file_of(components(LAYERS[:2]), Layout())
    yield Variant("jpeg", "other codings", "two components", two, "unsupported_format")
    whole = jpeg.file_of(SIZE, YCC, Layout(), jpeg.jfif())
    frame = whole.index(b"\xff\xc0")
    no_height = whole[: frame + 5] + b"\0\0" + whole[frame + 7 :]
    yield Variant(
        "jpeg", "other codings", "height behind the pixels", lambda: no_height, "unsupported_format"
    )
    for name, length in {
        "its pixels": len(whole) // 2,
        "its head": 60,
        "its frame": frame + 6,
    }.items():
        yield Variant("jpeg", "cut short", name, partial(bytes, whole[:length]), "truncated")
    damaged = {
        "two frames": whole.replace(whole[frame : frame + 19], whole[frame : frame + 19] * 2),
        "no frame": whole[:frame] + whole[frame + 19 :],
        "no scan": whole[: whole.index(b"\xff\xda")] + jpeg.EOI,
        "no width": whole[: frame + 7] + b"\0\0" + whole[frame + 9 :],
    }
    for name, body in damaged.items():
        yield Variant("jpeg", "damaged", name, partial(bytes, body), "corrupt")


VARIANTS = (*scans(), *sampling(), *colours(), *segments(), *refused())
