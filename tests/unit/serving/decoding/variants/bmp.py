"""Variants of Windows and OS/2 bitmaps."""

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.support.builders.formats import bmp
from tests.unit.serving.decoding.variants.variant import Pixels, Variant, picture

PICTURE = picture()
HEIGHT, WIDTH, _ = PICTURE.shape
HEADERS = {
    16: "OS/2 2 header of 16 bytes",
    40: "info header",
    52: "header with masks",
    56: "header with four masks",
    64: "OS/2 2 header",
    108: "V4 header",
    124: "V5 header",
}
MASKS = {
    16: {
        "5-5-5": (0x7C00, 0x03E0, 0x001F),
        "5-6-5": (0xF800, 0x07E0, 0x001F),
        "4-4-4": (0x0F00, 0x00F0, 0x000F),
        "5-6-5, blue first": (0x001F, 0x07E0, 0xF800),
        "3-3-2": (0xE0, 0x1C, 0x03),
        "8-8, no blue": (0xFF00, 0x00FF, 0),
        "1-1-1": (0x4, 0x2, 0x1),
    },
    32: {
        "blue first": (0xFF0000, 0xFF00, 0xFF),
        "red first": (0xFF, 0xFF00, 0xFF0000),
        "behind a byte": (0xFF000000, 0xFF0000, 0xFF00),
        "11-11-10": (0xFFE00000, 0x1FFC00, 0x3FF),
        "10-10-10": (0x3FF00000, 0xFFC00, 0x3FF),
        "5-6-5": (0xF800, 0x07E0, 0x001F),
        "7-6-5": (0x7F00000, 0xFC000, 0x1F00),
        "green, blue, red": (0xFF, 0xFF0000, 0xFF00),
    },
}


def random_picture(colours: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Indexes, with runs and edges, and a palette."""
    random = np.random.default_rng(colours)
    indexes = random.integers(0, colours, (HEIGHT, WIDTH), np.uint8)
    indexes[2:9, 5:30] = colours - 1
    indexes[12:, 20:] = 0
    return indexes, random.integers(0, 256, (colours, 3), np.uint8)


def colours() -> Iterator[Variant]:
    """24 bits, and 32 without masks, with every header and in both directions."""
    bgr = PICTURE[:, :, ::-1]
    bgrx = np.dstack([bgr, np.full((HEIGHT, WIDTH), 77, np.uint8)])
    for size, name in {12: "core header", **HEADERS}.items():
        for bits, stored in {24: bgr, 32: bgrx}.items():
            for is_top_down in (False, True) if size != 12 else (False,):
                rows = bmp.pad_rows((stored if is_top_down else stored[::-1]).reshape(HEIGHT, -1))
                height = -HEIGHT if is_top_down else HEIGHT
                header = bmp.info_header(WIDTH, height, bits, size=max(size, 40))
                if size == 16:
                    header = struct.pack("<I", 16) + header[4:16]
                elif size == 12:
                    header = bmp.core_header(WIDTH, HEIGHT, bits)
                direction = "top-down" if is_top_down else "bottom-up"
                yield of(
                    "24 and 32 bits", f"{bits} bits, {name}, {direction}", PICTURE, header, rows
                )


def of(
    family: str, name: str, expected: Pixels | Any, header: bytes, rows: bytes,
    palette: bytes = b"", gap: bytes = b"",
) -> Variant:  # fmt: skip
    return Variant("bmp", family, name, lambda: bmp.file_of(header, rows, palette, gap), expected)


def masks() -> Iterator[Variant]:
    for bits, table in MASKS.items():
        for name, channels in table.items():
            numbers = np.zeros((HEIGHT, WIDTH), np.int64)
            expected = np.zeros_like(PICTURE)
            for channel, mask in enumerate(channels):
                shift = (mask & -mask).bit_length() - 1
                top = mask >> shift if mask else 0
                levels = PICTURE[:, :, channel]
                values = np.rint(levels / 255 * top).astype(np.int64)
                numbers |= values << max(shift, 0)
                if top:
                    small = np.rint(values * 255 / top).astype(np.uint8)
                    expected[:, :, channel] = levels if top > 255 else small
            rows = bmp.pad_rows(
                numbers[::-1].astype(f"<u{bits // 8}").view(np.uint8).reshape(HEIGHT, -1)
            )
            packed = struct.pack("<III", *channels)
            for size in (40, 52, 56, 108, 124):
                header = bmp.info_header(WIDTH, HEIGHT, bits, 3, size=size)
                header = header + packed if size == 40 else header[:40] + packed + header[52:]
                yield of("masks", f"{bits} bits, {name}, header of {size}", expected, header, rows)
    for name, channels in {"overlapping": (0xFF, 0xFF, 0xFF00), "torn": (0xF0F, 0xF0, 0)}.items():
        header = bmp.info_header(WIDTH, HEIGHT, 32, 3) + struct.pack("<III", *channels)
        rows = bytes(4 * WIDTH * HEIGHT)
        yield of("masks", f"{name} masks", "unsupported_format", header, rows)


def transparent() -> Iterator[Variant]:
    alpha = np.ascontiguousarray(PICTURE[:, :, :1])
    bgra = np.concatenate([PICTURE[:, :, ::-1], alpha], axis=2)[::-1].tobytes()
    share = alpha / 255
    blended = np.rint(PICTURE * share + 255 * (1 - share)).astype(np.uint8)
    channels = (0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    for size in (56, 108, 124):
        header = bmp.info_header(WIDTH, HEIGHT, 32, 3, size=size)
        header = header[:40] + struct.pack("<IIII", *channels) + header[56:]
        yield of("alpha", f"header of {size}", blended, header, bgra)
        nothing = np.concatenate([PICTURE[:, :, ::-1], 0 * alpha], axis=2)[::-1].tobytes()
        yield of("alpha", f"header of {size}, zero everywhere", PICTURE, header, nothing)
    header = bmp.info_header(WIDTH, HEIGHT, 32, 6) + struct.pack("<IIII", *channels)
    yield of("alpha", "info header and four masks", blended, header, bgra)
    header = bmp.info_header(WIDTH, HEIGHT, 32, 0, size=108)
    header = header[:40] + struct.pack("<IIII", *channels) + header[56:]
    yield of("alpha", "V4 header whose masks do not count", PICTURE, header, bgra)


def palettes() -> Iterator[Variant]:
    for bits in (1, 2, 4, 8):
        indexes, table = random_picture(1 << bits)
        rows, expected = bmp.pack_rows(indexes, bits), table[indexes]
        for size, name in HEADERS.items():
            header = bmp.info_header(WIDTH, HEIGHT, bits, size=max(size, 40))
            header = struct.pack("<I", 16) + header[4:16] if size == 16 else header
            palette = bmp.palette_of(table)
            yield of("palette", f"{bits} bits, {name}", expected, header, rows, palette)
        header = bmp.core_header(WIDTH, HEIGHT, bits)
        palette = bmp.palette_of(table, 3)
        yield of("palette", f"{bits} bits, core header", expected, header, rows, palette)
        header = bmp.info_header(WIDTH, -HEIGHT, bits)
        rows = bmp.pack_rows(indexes[::-1], bits)
        palette = bmp.palette_of(table)
        yield of("palette", f"{bits} bits, top-down", expected, header, rows, palette)
        header = bmp.info_header(WIDTH, -HEIGHT, bits)
        yield of("palette", f"{bits} bits, a gap", expected, header, rows, palette, b"\xee" * 10)
        few = max(2, (1 << bits) * 3 // 4)
        indexes = indexes % few
        rows, expected = bmp.pack_rows(indexes, bits), table[indexes]
        header = bmp.info_header(WIDTH, HEIGHT, bits, colours=few)
        palette = bmp.palette_of(table[:few])
        yield of("palette", f"{bits} bits, {few} colours", expected, header, rows, palette)
        header = bmp.info_header(WIDTH, HEIGHT, bits)
        name = f"{bits} bits, {few} colours, more are claimed"
        yield of("palette", name, expected, header, rows, palette)
        header = bmp.info_header(WIDTH, HEIGHT, bits, colours=300)
        palette = bmp.palette_of(np.concatenate([table, np.resize(table, (300 - len(table), 3))]))
        yield of("palette", f"{bits} bits, 300 colours", expected, header, rows, palette)
        if few < 1 << bits:
            rows = bmp.pack_rows(np.full((HEIGHT, WIDTH), few, np.uint8), bits)
            header = bmp.info_header(WIDTH, HEIGHT, bits, colours=few)
            palette = bmp.palette_of(table[:few])
            name = f"{bits} bits, a colour that the palette lacks"
            yield of("palette", name, "corrupt", header, rows, palette)


def offsets() -> Iterator[Variant]:
    """Where the pixels begin: not stated, or as if there were no palette, as some programs do."""
    rows = bmp.pad_rows(PICTURE[::-1, :, ::-1].reshape(HEIGHT, -1))
    for name, header in {
        "core header": bmp.core_header(WIDTH, HEIGHT, 24),
        "info header": bmp.info_header(WIDTH, HEIGHT, 24),
        "V5 header": bmp.info_header(WIDTH, HEIGHT, 24, size=124),
    }.items():
        yield at(f"24 bits, {name}", 0, PICTURE, bmp.file_of(header, rows))
        yield at(f"24 bits, {name}", 14 + len(header) - 1, "corrupt", bmp.file_of(header, rows))
    masks = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)
    header = bmp.info_header(WIDTH, HEIGHT, 32, 3) + masks
    wide = bmp.file_of(header, np.dstack([PICTURE[::-1, :, ::-1], PICTURE[::-1, :, :1]]).tobytes())
    yield at("masks", 0, PICTURE, wide)
    yield at("masks", 54, "corrupt", wide)
    for bits, colours in ((1, 0), (4, 0), (8, 0), (8, 200), (8, 300)):
        count = colours or 1 << bits
        indexes, table = random_picture(min(count, 1 << bits))
        rows, expected = bmp.pack_rows(indexes, bits), table[indexes]
        padded = np.concatenate([table, np.full((count - len(table), 3), 9, np.uint8)])
        name = f"{bits} bits, {colours or 'all'} colours"
        header = bmp.info_header(WIDTH, HEIGHT, bits, colours=colours)
        body = bmp.file_of(header, rows, bmp.palette_of(padded))
        for offset, shown in {0: expected, 54: expected, 14: "corrupt", 53: "corrupt"}.items():
            yield at(name, offset, shown, body)
        if colours == 200:
            yield at(name, 54 + 4 * 199, "corrupt", body)
    indexes, table = random_picture(256)
    rows, expected = bmp.pack_rows(indexes, 8), table[indexes]
    body = bmp.file_of(bmp.core_header(WIDTH, HEIGHT, 8), rows, bmp.palette_of(table, 3))
    for offset in (0, 26):
        yield at("8 bits, core header", offset, expected, body)
    header = bmp.info_header(WIDTH, HEIGHT, 8, 1)
    body = bmp.file_of(header, bmp.rle8(indexes, False), bmp.palette_of(table))
    for offset in (0, 54):
        yield at("8-bit run lengths", offset, expected, body)
    header = bmp.info_header(WIDTH, HEIGHT, 8)
    for offset in (0, 54):
        yield at("a palette that is missing", offset, "truncated", bmp.file_of(header, rows))


def at(name: str, offset: int, expected: Pixels | Any, body: bytes) -> Variant:
    moved = bmp.move_pixels(body, offset)
    return Variant("bmp", "offset of pixels", f"{name}, {offset}", lambda: moved, expected)


def run_lengths() -> Iterator[Variant]:
    for bits, compression in ((8, 1), (4, 2)):
        indexes, table = random_picture(1 << bits)
        palette, expected = bmp.palette_of(table), table[indexes]
        family = f"{bits}-bit run lengths"
        header = bmp.info_header(WIDTH, HEIGHT, bits, compression)
        pack = bmp.rle8 if bits == 8 else bmp.rle4
        for literals in (False, True):
            stream, name = pack(indexes, literals), "literals" if literals else "runs"
            yield of(family, name, expected, header, stream, palette)
            yield of(family, f"{name}, no end", expected, header, stream[:-2], palette)
            no_last = stream[:-4] + b"\0\1"
            yield of(family, f"{name}, no last end of row", expected, header, no_last, palette)
            yield of(
                family, f"{name}, cut", "truncated", header, stream[: len(stream) // 2], palette
            )
            yield of(family, f"{name}, more behind", expected, header, stream + stream, palette)
            padded = np.pad(indexes, ((0, 0), (0, 1)), constant_values=3)
            name += ", which pad rows to an even number"
            yield of(family, name, expected, header, pack(padded, literals), palette)
        stream = pack(np.full((HEIGHT, WIDTH), 5, np.uint8), False)
        one = np.broadcast_to(table[5], PICTURE.shape)
        yield of(family, "one colour", one, header, stream, palette)
        yield from moves(family, header, palette, table)
        top = bmp.info_header(WIDTH, -HEIGHT, bits, compression)
        yield of(family, "top-down", "unsupported_format", top, stream, palette)
    header = bmp.info_header(WIDTH, HEIGHT, 8, 1)
    indexes, table = random_picture(256)
    stream = bmp.rle8(indexes, False, overrun=200)
    name = "runs far beyond their rows"
    yield of("8-bit run lengths", name, table[indexes], header, stream, bmp.palette_of(table))


def moves(
    family: str, header: bytes, palette: bytes, table: NDArray[np.uint8]
) -> Iterator[Variant]:
    """Skipped pixels have the colour of index 0."""
    blank = np.broadcast_to(table[0], PICTURE.shape).copy()
    yield of(family, "nothing but an end", blank, header, b"\0\1", palette)
    one = blank.copy()
    one[HEIGHT - 1 - 3, 4:7] = table[2]
    stream = b"\0\2\4\3" + b"\3\x22" + b"\0\1"
    value = stream if "4-bit" in family else stream.replace(b"\x22", b"\2")
    yield of(family, "a move, then a run", one, header, value, palette)
    yield of(family, "a move beyond the image", blank, header, b"\0\2\xff\xff\3\2\0\1", palette)
    rows = one.copy()
    rows[HEIGHT - 1 - 4, :2] = table[1]
    value = value[:-2] + b"\0\0" + (b"\2\x11" if "4-bit" in family else b"\2\1") + b"\0\1"
    yield of(family, "a move and an end of row", rows, header, value, palette)


def refused() -> Iterator[Variant]:
    empty = bytes(8_000)
    cases = {
        "JPEG inside": (40, 0, 4), "PNG inside": (40, 0, 5), "64 bits": (40, 64, 0),
        "CMYK": (40, 32, 11), "OS/2 fax": (64, 1, 3), "OS/2 24-bit run lengths": (64, 24, 4),
        "an unknown compression": (40, 24, 99), "3 bits": (40, 3, 0), "8-bit masks": (40, 8, 3),
        "run lengths of 24 bits": (40, 24, 1),
    }  # fmt: skip
    for name, (size, bits, compression) in cases.items():
        header = bmp.info_header(WIDTH, HEIGHT, bits, compression, size=size)
        yield of("refused", name, "unsupported_format", header, empty)
    header = bmp.info_header(WIDTH, HEIGHT, 8)
    yield of("refused", "without a palette", "corrupt", header, b"")
    rows = bytes((WIDTH * 3 + 3) // 4 * 4 * HEIGHT)
    header = bmp.info_header(WIDTH, HEIGHT, 24)
    yield of("refused", "a byte is missing", "truncated", header, rows[:-2])
    black = np.zeros_like(PICTURE)
    yield of("24 and 32 bits", "without the last padding", black, header, rows[:-1])


VARIANTS = (
    *colours(), *masks(), *transparent(), *palettes(), *offsets(), *run_lengths(), *refused(),
)  # fmt: skip
