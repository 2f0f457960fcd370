"""Variants of PNG: samples, palettes, transparency, interlace, and chunks that decide nothing."""

import struct
import zlib
from collections.abc import Iterator
from functools import partial
from itertools import product

import numpy as np
from numpy.typing import NDArray

from tests.support.builders.formats import png
from tests.support.builders.formats.png import Layout, Samples, chunk
from tests.unit.serving.decoding.variants.variant import Pixels, Variant, grey_picture, picture

PICTURE = picture()
GREY_PICTURE = grey_picture()
ALPHA_PICTURE = np.ascontiguousarray(PICTURE[:, :, 0])
LEGAL_BITS = {
    png.GREY: (1, 2, 4, 8, 16),
    png.RGB: (8, 16),
    png.PALETTE: (1, 2, 4, 8),
    png.GREY_ALPHA: (8, 16),
    png.RGB_ALPHA: (8, 16),
}
NAMES = {
    png.GREY: "grey",
    png.RGB: "RGB",
    png.PALETTE: "palette",
    png.GREY_ALPHA: "grey with alpha",
    png.RGB_ALPHA: "RGB with alpha",
}
ALL_FILTERS = (0, 1, 2, 3, 4)
SIZES = ((1, 1), (1, 9), (9, 1), (3, 2), (8, 8), (33, 5))
"""Sides at which some passes of an interlaced picture are empty."""


def samples_of(colour: int, bits: int, width: int = 37, height: int = 23) -> Samples:
    """The picture in so many bits; indices of a palette are grey levels in the same way."""
    rgb, grey = picture(width, height), grey_picture(width, height)
    channels = {
        png.GREY: [grey],
        png.RGB: [*np.moveaxis(rgb, 2, 0)],
        png.PALETTE: [grey],
        png.GREY_ALPHA: [grey, rgb[:, :, 0]],
        png.RGB_ALPHA: [*np.moveaxis(rgb, 2, 0), grey],
    }[colour]
    eight = np.dstack(channels).astype(np.uint16)
    deep = eight * 257 + 3 * (eight % 2 == 0) * (eight < 255)
    return (deep if bits == 16 else eight >> (8 - bits)).astype(np.uint16)


def shown(samples: Samples, colour: int, bits: int) -> Pixels:
    """What is to be seen, with transparency blended with white."""
    levels = samples / ((1 << bits) - 1) * 255
    if colour in (png.GREY_ALPHA, png.RGB_ALPHA):
        alpha = levels[:, :, -1:] / 255
        levels = levels[:, :, :-1] * alpha + 255 * (1 - alpha)
    if levels.shape[2] == 1:
        levels = np.repeat(levels, 3, axis=2)
    rounded: Pixels = np.rint(levels).astype(np.uint8)
    return rounded


def palette_of(count: int) -> NDArray[np.uint8]:
    """Colours that are not grey and differ from each other."""
    numbers = np.arange(count)
    channels = (numbers * 7 % 256, 255 - numbers * 3 % 256, numbers * 29 % 256)
    return np.stack([channel.astype(np.uint8) for channel in channels], axis=1)


def plain() -> Iterator[Variant]:
    for colour, all_bits in LEGAL_BITS.items():
        for bits, interlaced in product(all_bits, (False, True)):
            layout = Layout(bits, colour, interlaced, ALL_FILTERS)
            samples = samples_of(colour, bits)
            name = f"{bits} bits" + (", interlaced" if interlaced else "")
            if colour == png.PALETTE:
                colours = palette_of(1 << bits)
                before, expected = [chunk(b"PLTE", colours.tobytes())], colours[samples[:, :, 0]]
            else:
                before, expected = [], shown(samples, colour, bits)
            write = partial(png.file_of, samples, layout, *before)
            has_alpha = colour in (png.GREY_ALPHA, png.RGB_ALPHA)
            yield Variant("png", NAMES[colour], name, write, expected, int(bits == 16 or has_alpha))


def filters_and_sizes() -> Iterator[Variant]:
    for colour, number in product((png.GREY, png.RGB, png.RGB_ALPHA), ALL_FILTERS):
        samples = samples_of(colour, 8)
        write = partial(png.file_of, samples, Layout(8, colour, False, (number,)))
        expected = shown(samples, colour, 8)
        yield Variant("png", "filters", f"{NAMES[colour]}, filter {number}", write, expected, 1)
    for (width, height), colour in product(SIZES, (png.GREY, png.RGB)):
        bits = LEGAL_BITS[colour][0]
        samples = samples_of(colour, bits, width, height)
        write = partial(png.file_of, samples, Layout(bits, colour, True, ALL_FILTERS))
        name = f"{width} x {height}, {NAMES[colour]}, {bits} bits, interlaced"
        yield Variant("png", "sizes", name, write, shown(samples, colour, bits))


def keyed() -> Iterator[Variant]:
    """A transparent colour is white; its neighbours, which differ in one bit, are not."""
    for colour, bits in [*product((png.GREY,), LEGAL_BITS[png.GREY]), (png.RGB, 8), (png.RGB, 16)]:
        samples = samples_of(colour, bits)
        key = samples[12, 12].copy()
        if bits == 16:
            samples[3:6] = key
            samples[4] ^= 1
        expected = shown(samples, colour, bits)
        expected[(samples == key).all(axis=2)] = 255
        surpluses = (0,) if bits == 16 else (0, 0xF000)
        for interlaced, surplus in product((False, True), surpluses):
            before = chunk(
                b"tRNS", b"".join(struct.pack(">H", int(value) | surplus) for value in key)
            )
            write = partial(png.file_of, samples, Layout(bits, colour, interlaced), before)
            name = f"{NAMES[colour]}, {bits} bits" + (", interlaced" if interlaced else "")
            name += ", unused bits of the key set" if surplus else ""
            yield Variant("png", "transparent colour", name, write, expected, int(bits == 16))


def palettes() -> Iterator[Variant]:
    samples, colours = samples_of(png.PALETTE, 4), palette_of(16)
    indices = samples[:, :, 0]
    alpha = np.full(16, 255)
    alpha[:6] = (0, 0, 51, 128, 200, 255)
    blended = np.rint((colours * alpha[:, np.newaxis] + 255 * (255 - alpha[:, np.newaxis])) / 255)
    short = np.where(np.arange(16)[:, np.newaxis] < 9, colours, 0)
    table = chunk(b"PLTE", colours.tobytes())
    cases = {
        "alpha of some colours": ([table, chunk(b"tRNS", bytes(alpha[:6].tolist()))], blended),
        "alpha of all colours": ([table, chunk(b"tRNS", bytes(alpha.tolist()))], blended),
        "colours beyond its end are black": ([chunk(b"PLTE", colours[:9].tobytes())], short),
        "more colours than indices": ([chunk(b"PLTE", palette_of(256).tobytes())], colours),
    }
    for name, (before, shown_colours) in cases.items():
        write = partial(png.file_of, samples, Layout(4, png.PALETTE), *before)
        yield Variant("png", "palettes", name, write, shown_colours.astype(np.uint8)[indices])
    write = partial(png.file_of, samples, Layout(4, png.PALETTE))
    yield Variant("png", "damaged", "no palette", write, "corrupt")


def oriented() -> Iterator[Variant]:
    tiff = b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"
    exif = b"Exif\0\0" + tiff
    text = f"\nexif\n{len(exif):8}\n{exif.hex()}\n".encode()
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    chunks = {
        "eXIf": chunk(b"eXIf", tiff),
        "zTXt of ImageMagick": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text)),
        "tEXt of ImageMagick": chunk(b"tEXt", b"Raw profile type exif\0" + text),
        "XMP": chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
    }
    samples, expected = samples_of(png.RGB, 8), np.rot90(PICTURE, -1)
    for name, part in chunks.items():
        write = partial(png.file_of, samples, Layout(8, png.RGB), part)
        yield Variant("png", "orientation", name, write, expected)
    write = partial(png.file_of, samples, Layout(8, png.RGB), after=chunks["eXIf"])
    yield Variant("png", "orientation", "eXIf behind the pixels", write, expected)


METADATA = {
    "long zTXt": chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b"{}" * 1_000_000)),
    "long iTXt": chunk(b"iTXt", b"workflow\0\1\0\0\0" + zlib.compress(b"{}" * 1_000_000)),
    "long plain tEXt": chunk(b"tEXt", b"prompt\0" + b"x" * 1_000_000),
    "zTXt that is not compressed": chunk(b"zTXt", b"workflow\0\0not compressed"),
    "zTXt without a keyword": chunk(b"zTXt", b""),
    "ten thousand texts": chunk(b"tEXt", b"a\0b") * 10_000,
    "short pHYs": chunk(b"pHYs", b"\0"),
    "empty gAMA": chunk(b"gAMA", b""),
    "short cHRM": chunk(b"cHRM", b"\0" * 5),
    "empty sRGB": chunk(b"sRGB", b""),
    "long tIME": chunk(b"tIME", b"\0" * 50),
    "empty bKGD": chunk(b"bKGD", b""),
    "short sBIT": chunk(b"sBIT", b"\x08"),
    "broken eXIf": chunk(b"eXIf", b"not a TIFF"),
    "eXIf whose directory is beyond its end": chunk(b"eXIf", b"II*\0\xff\xff\0\0"),
    "broken iCCP": chunk(b"iCCP", b"name\0\0broken"),
    "iCCP of an unknown compression": chunk(b"iCCP", b"name\0\7" + zlib.compress(b"profile")),
    "iCCP without a name": chunk(b"iCCP", b""),
    "animation that is malformed": chunk(b"acTL", b"\0"),
    "frame control that is malformed": chunk(b"fcTL", b"\0\0\0\0"),
    "unknown chunk": chunk(b"teSt", b"anything"),
    "palette of an RGB picture": chunk(b"PLTE", palette_of(7).tobytes()),
    "transparent colour of a wrong length": chunk(b"tRNS", b"\0\0\0"),
    **{
        f"wrong checksum of {kind.decode()}": chunk(kind, content, 1)
        for kind, content in (
            (b"tEXt", b"a\0b"),
            (b"gAMA", b"\0\0\xb1\x8f"),
            (b"pHYs", bytes(9)),
            (b"iCCP", b"name\0\0" + zlib.compress(b"profile")),
            (b"eXIf", b"MM\0*\0\0\0\x08\0\0"),
            (b"tIME", bytes(7)),
            (b"teSt", b""),
            (b"PLTE", palette_of(7).tobytes()),
        )
    },
}


def metadata() -> Iterator[Variant]:
    samples, layout = samples_of(png.RGB, 8), Layout(8, png.RGB)
    for name, part in METADATA.items():
        yield Variant("png", "metadata", name, partial(png.file_of, samples, layout, part), PICTURE)
        write = partial(png.file_of, samples, layout, after=part)
        yield Variant("png", "metadata", f"{name}, behind the pixels", write, PICTURE)
    alpha, layout = samples_of(png.RGB_ALPHA, 8), Layout(8, png.RGB_ALPHA)
    expected = shown(alpha, png.RGB_ALPHA, 8)
    beside = {
        "transparent colour": chunk(b"tRNS", bytes(6)),
        "wrong checksum of a transparent colour": chunk(b"tRNS", bytes(6), 1),
        "wrong checksum of a palette": chunk(b"PLTE", palette_of(7).tobytes(), 1),
    }
    for name, part in beside.items():
        write = partial(png.file_of, alpha, layout, part)
        yield Variant("png", "metadata", f"{name} beside alpha", write, expected, 1)


def data_chunks() -> Iterator[Variant]:
    layout = Layout(8, png.RGB)
    data = png.pack(samples_of(png.RGB, 8), layout)
    head = png.SIGNATURE + png.header(37, 23, layout)
    end = chunk(b"IEND", b"")
    single = chunk(b"IDAT", data)
    text = chunk(b"tEXt", b"a\0b")
    halves = [chunk(b"IDAT", data[:500]), chunk(b"IDAT", data[500:])]
    cases: dict[str, bytes] = {
        "a byte each": b"".join(chunk(b"IDAT", bytes((byte,))) for byte in data) + end,
        "empty ones between": chunk(b"IDAT", b"") + chunk(b"IDAT", b"").join(halves) + end,
        "a text between": text.join(halves) + end,
        "bytes behind the data": chunk(b"IDAT", data + b"junk") + end,
        "nothing behind the data": single,
        "cut in the last chunk": single + end[:6],
        "cut in a text behind the data": single + chunk(b"tEXt", bytes(99))[:40],
        "wrong checksum of the chunk, right one of the data": chunk(b"IDAT", data, 1) + end,
        "two headers": png.header(5, 5, layout) + single + end,
        "junk behind the end": single + end + b"junk" * 999,
    }
    for name, rest in cases.items():
        yield Variant("png", "data chunks", name, partial(bytes.join, b"", (head, rest)), PICTURE)
    bits = bytearray(data)
    bits[len(bits) // 2] ^= 0x10
    broken = {
        "a bit of the data": head + chunk(b"IDAT", bytes(bits), zlib.crc32(b"IDAT" + data)) + end,
        "checksum of the header": head.replace(head[-4:], b"\0\0\0\1") + single + end,
        "no data": head + end,
        "no header": png.SIGNATURE + single + end,
    }
    for name, body in broken.items():
        yield Variant("png", "damaged", name, partial(bytes, body), "corrupt")
    table = palette_of(16).tobytes()
    decisive = {
        "checksum of the palette": (png.PALETTE, 4, [chunk(b"PLTE", table, 1)]),
        "checksum of a palette's alpha": (
            *(png.PALETTE, 4),
            [chunk(b"PLTE", table), chunk(b"tRNS", bytes(16), 1)],
        ),
        "checksum of a transparent colour": (png.RGB, 8, [chunk(b"tRNS", bytes(6), 1)]),
        "checksum of a transparent grey": (png.GREY, 8, [chunk(b"tRNS", bytes(2), 1)]),
    }
    for name, (colour, depth, parts) in decisive.items():
        samples = samples_of(colour, depth)
        write = partial(png.file_of, samples, Layout(depth, colour), *parts)
        yield Variant("png", "damaged", name, write, "corrupt")
    for name, body in {"its data": head + single[:900], "its header": head[:20]}.items():
        yield Variant("png", "cut short", name, partial(bytes, body), "truncated")
    apple = png.SIGNATURE + chunk(b"CgBI", b"\x50\0\x20\x06") + head[8:] + single + end
    yield Variant("png", "optimised for iOS", "CgBI", partial(bytes, apple), "unsupported_format")


VARIANTS = (
    *plain(), *filters_and_sizes(), *keyed(), *palettes(), *oriented(), *metadata(), *data_chunks(),
)  # fmt: skip
