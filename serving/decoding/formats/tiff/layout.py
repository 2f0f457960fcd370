"""How a TIFF stores its pixels: by its directory, and refused by name if no test compares it.

The numbers are those of TIFF 6.0 and of the technical notes of libtiff.
"""

from dataclasses import dataclass
from enum import IntEnum
from math import ceil
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from serving.decoding.bounds import too_expensive
from serving.decoding.formats.tiff.directory import Directory
from serving.decoding.undecodable import corrupt, truncated, unsupported


class Photometric(IntEnum):
    WHITE_IS_ZERO = 0
    BLACK_IS_ZERO = 1
    RGB = 2
    PALETTE = 3
    CMYK = 5
    YCBCR = 6
    CIE_LAB = 8
    ICC_LAB = 9


LAB = (Photometric.CIE_LAB, Photometric.ICC_LAB)
GREY = (Photometric.WHITE_IS_ZERO, Photometric.BLACK_IS_ZERO)
COLOURS = {
    Photometric.WHITE_IS_ZERO: 1,
    Photometric.BLACK_IS_ZERO: 1,
    Photometric.RGB: 3,
    Photometric.PALETTE: 1,
    Photometric.CMYK: 4,
    Photometric.YCBCR: 3,
    Photometric.CIE_LAB: 3,
    Photometric.ICC_LAB: 3,
}
"""How many samples of a pixel are its colour; the others are alpha, or masks."""

PHOTOMETRICS = {
    4: "A TIFF that is a transparency mask",
    10: "A TIFF of ITU L*a*b* colours",
    32803: "A TIFF of a camera's sensor values",
    32844: "A TIFF of LogL values",
    32845: "A TIFF of LogLuv colours",
    34892: "A TIFF of a camera's sensor values",
}

NOT_COMPRESSED, CCITT_RLE, CCITT_G3, CCITT_G4, LZW, JPEG = 1, 2, 3, 4, 5, 7
CCITT_RLE_WORDS, PACK_BITS = 32771, 32773
CCITT = (CCITT_RLE, CCITT_G3, CCITT_G4, CCITT_RLE_WORDS)
BYTE_CODECS = (LZW, 8, PACK_BITS, 32946, 34925, 50000)
"""LZW, deflate, PackBits, deflate by its old number, LZMA, Zstandard: bytes from bytes."""

COMPRESSIONS = {
    6: "old-style JPEG compression",
    9: "JBIG compression",
    10: "JBIG compression",
    22610: "JPEG XR compression",
    32766: "NeXT compression",
    32809: "ThunderScan compression",
    32909: "PixarLog compression",
    33003: "JPEG 2000 compression",
    33005: "JPEG 2000 compression",
    34661: "JBIG compression",
    34676: "SGI log compression",
    34677: "SGI log compression",
    34712: "JPEG 2000 compression",
    34887: "LERC compression",
    34892: "lossy DNG compression",
    34934: "JPEG XR compression",
    50001: "WebP compression",
    50002: "JPEG XL compression",
    52546: "JPEG XL compression",
}

UNSIGNED, SIGNED, FLOAT = 1, 2, 3
MAX_BITS = 32
FLOAT_BITS = (16, 32, 64)
HORIZONTAL, FLOATING_POINT = 2, 3
PREDICTOR_BITS = {HORIZONTAL: (8, 16, 32, 64), FLOATING_POINT: FLOAT_BITS}
PREDICTED_CODECS = frozenset(BYTE_CODECS) - {PACK_BITS}
ALPHA_NAMES: dict[int, "Alpha"] = {1: "associated", 2: "unassociated"}
MAX_SAMPLES = 16
MAX_PADDING_FACTOR = 4
"""The most pixels of all tiles, as a multiple of the image's; small images may have one tile."""

SMALL_PIXELS = 1_000_000
MAX_SHARED_FACTOR = 2
"""The most bytes of all strips, as a multiple of the file's: a few may share theirs."""

SHARED_BYTES = 64 * 2**20
MAX_TILE_BYTES = 400_000_000
"""The most bytes of an unpacked strip or tile, which is unpacked as a whole."""

Alpha = Literal["none", "associated", "unassociated"]


@dataclass(frozen=True, slots=True)
class Samples:
    """What the numbers of a pixel are."""

    count: int
    bits: int
    format: int
    photometric: Photometric
    alpha: Alpha
    alpha_index: int

    @property
    def colours(self) -> int:
        return COLOURS[self.photometric]


@dataclass(frozen=True, slots=True)
class Layout:
    """A strip is a tile of the image's width, so that there are only tiles."""

    directory: Directory
    width: int
    height: int
    samples: Samples
    compression: int
    predictor: int
    is_planar: bool
    is_reversed: bool
    """Whether the first bit of a byte is its lowest."""
    subsampling: tuple[int, int]
    """Columns and rows that share a chroma sample; (1, 1) except for YCbCr outside of JPEG."""
    tile_width: int
    tile_height: int
    offsets: NDArray[np.generic]
    counts: NDArray[np.generic]

    @property
    def is_tiled(self) -> bool:
        return 322 in self.directory.tags

    @property
    def across(self) -> int:
        return ceil(self.width / self.tile_width)

    @property
    def down(self) -> int:
        return ceil(self.height / self.tile_height)

    @property
    def planes(self) -> int:
        return self.samples.count if self.is_planar else 1

    @property
    def row_bytes(self) -> int:
        """Of one row of a tile; of `subsampling[1]` rows if chroma is subsampled."""
        across, down = self.subsampling
        if self.subsampling != (1, 1):
            return ceil(self.tile_width / across) * (across * down + 2)
        samples = 1 if self.is_planar else self.samples.count
        return ceil(self.tile_width * samples * self.samples.bits / 8)

    @property
    def tile_bytes(self) -> int:
        return self.row_bytes * ceil(self.tile_height / self.subsampling[1])


def read_layout(directory: Directory) -> Layout:
    """Raises UndecodableError for what is not supported, or cannot be."""
    width, height = directory.integer(256, 0), directory.integer(257, 0)
    if width < 1 or height < 1:
        raise corrupt("tiff", "it has no width or height")
    compression = directory.integer(259, NOT_COMPRESSED)
    if compression not in (NOT_COMPRESSED, JPEG, *CCITT, *BYTE_CODECS):
        name = COMPRESSIONS.get(compression, f"compression {compression}")
        raise unsupported(f"A TIFF with {name}")
    samples = _read_samples(directory, compression)
    is_planar = directory.integer(284, 1) == 2 and samples.count > 1
    predictor = directory.integer(317, 1) if compression in PREDICTED_CODECS else 1
    subsampling = _read_subsampling(directory, samples, compression)
    if predictor != 1:
        _check_predictor(predictor, samples, subsampling)
    if compression == JPEG and is_planar and samples.photometric == Photometric.YCBCR:
        raise unsupported("A TIFF of JPEG-compressed planes of YCbCr")
    if subsampling != (1, 1) and is_planar:
        raise unsupported("A TIFF of planes with subsampled chroma")
    is_tiled = 322 in directory.tags
    rows = directory.integer(323 if is_tiled else 278, height)
    layout = Layout(
        directory=directory,
        width=width,
        height=height,
        samples=samples,
        compression=compression,
        predictor=predictor,
        is_planar=is_planar,
        is_reversed=directory.integer(266, 1) == 2,
        subsampling=subsampling,
        tile_width=directory.integer(322, 0) if is_tiled else width,
        tile_height=rows if is_tiled else min(rows, height),
        offsets=directory.numbers(324 if 324 in directory.tags else 273),
        counts=directory.numbers(325 if 325 in directory.tags else 279),
    )
    if layout.tile_height % subsampling[1] and layout.down > 1:
        raise unsupported("A TIFF whose strips end within rows that share chroma")
    return _check_tiles(layout)


def _read_samples(directory: Directory, compression: int) -> Samples:
    count = directory.integer(277, 1)
    if not 1 <= count <= MAX_SAMPLES:
        raise unsupported(f"A TIFF of {count:,} channels")
    default = Photometric.RGB if count in (3, 4) else Photometric.BLACK_IS_ZERO
    number = directory.integer(262, Photometric.WHITE_IS_ZERO if compression in CCITT else default)
    if number not in list(Photometric):
        raise unsupported(PHOTOMETRICS.get(number, f"A TIFF of colour space {number}"))
    photometric = Photometric(number)
    bits, sample_format = _read_number_format(directory, count)
    if photometric == Photometric.CMYK and directory.integer(332, 1) != 1:
        raise unsupported("A TIFF of inks other than cyan, magenta, yellow and black")
    if photometric == Photometric.PALETTE and (bits > 16 or sample_format != UNSIGNED):
        raise unsupported(f"A TIFF with a palette of {bits} bits")
    alpha, alpha_index = _read_alpha(directory, count, photometric)
    samples = Samples(count, bits, sample_format, photometric, alpha, alpha_index)
    _check_codec(compression, samples)
    return samples


def _read_number_format(directory: Directory, count: int) -> tuple[int, int]:
    """Bits and kind of the samples."""
    bits = directory.integers(258, (1,))[:count]
    formats = directory.integers(339, (UNSIGNED,))[:count]
    if len(set(bits)) > 1:
        depths = ", ".join(str(depth) for depth in bits)
        raise unsupported(f"A TIFF whose channels have {depths} bits")
    if len(set(formats)) > 1:
        raise unsupported("A TIFF whose channels have different kinds of numbers")
    sample_format = UNSIGNED if formats[0] == 4 else formats[0]
    if sample_format == FLOAT and bits[0] not in FLOAT_BITS:
        raise unsupported(f"A TIFF of floating-point numbers of {bits[0]} bits")
    if sample_format == SIGNED and bits[0] != 32:
        raise unsupported(f"A TIFF of signed numbers of {bits[0]} bits")
    if sample_format not in (UNSIGNED, SIGNED, FLOAT):
        raise unsupported("A TIFF of complex numbers")
    if sample_format == UNSIGNED and not 1 <= bits[0] <= MAX_BITS:
        raise unsupported(f"A TIFF of {bits[0]} bits")
    return bits[0], sample_format


def _read_alpha(directory: Directory, count: int, photometric: Photometric) -> tuple[Alpha, int]:
    """What the samples behind the colours mean. Unspecified ones are masks, and are ignored."""
    colours = COLOURS[photometric]
    if count < colours:
        raise corrupt("tiff", f"a pixel has {count} of {colours} colours")
    kinds = directory.integers(338)[: count - colours]
    if photometric == Photometric.RGB and count == 4 and not kinds:
        kinds = (2,)  # as programs mean it that forget the tag
    is_known = (count == colours or kinds) and all(kind in (0, *ALPHA_NAMES) for kind in kinds)
    if not is_known or (colours == 1 and count > 2 and not any(kinds)):
        raise unsupported(f"A TIFF of {count} channels, some of unknown meaning")
    position = next((index for index, kind in enumerate(kinds) if kind in ALPHA_NAMES), None)
    if position is None:
        return "none", 0
    if photometric not in (*GREY, Photometric.RGB, Photometric.PALETTE):
        raise unsupported("A transparent TIFF of CMYK, YCbCr or L*a*b* colours")
    return ALPHA_NAMES[kinds[position]], colours + position


def _check_codec(compression: int, samples: Samples) -> None:
    if compression in CCITT and (samples.bits, samples.count) != (1, 1):
        raise unsupported("A TIFF of fax-compressed colours")
    if compression in CCITT and samples.photometric == Photometric.PALETTE:
        raise unsupported("A fax-compressed TIFF with a palette")
    if compression == JPEG and (samples.bits, samples.format) != (8, UNSIGNED):
        raise unsupported(f"A TIFF of {samples.bits} bits with JPEG compression")
    if compression == JPEG and samples.count == 2:
        raise unsupported("A TIFF with JPEG compression of two channels")
    if compression == JPEG and samples.photometric in (Photometric.PALETTE, *LAB):
        raise unsupported("A TIFF with JPEG compression of a palette or of L*a*b* colours")
    if samples.photometric in (Photometric.YCBCR, *LAB) and (
        samples.bits not in ((8,) if samples.photometric == Photometric.YCBCR else (8, 16))
        or samples.format != UNSIGNED
    ):
        raise unsupported(f"A TIFF of YCbCr or L*a*b* colours of {samples.bits} bits")


def _read_subsampling(directory: Directory, samples: Samples, compression: int) -> tuple[int, int]:
    if samples.photometric != Photometric.YCBCR or compression == JPEG:
        return 1, 1
    across, down = (*directory.integers(530, (2, 2)), 0)[:2]
    if across not in (1, 2, 4) or down not in (1, 2, 4):
        raise corrupt("tiff", f"its chroma is subsampled {across} x {down}")
    if (across, down) != (1, 1) and samples.count != 3:
        raise unsupported("A TIFF of subsampled chroma with more channels")
    return across, down


def _check_predictor(predictor: int, samples: Samples, subsampling: tuple[int, int]) -> None:
    if (
        samples.bits not in PREDICTOR_BITS.get(predictor, ())
        or (predictor == FLOATING_POINT and samples.format != FLOAT)
        or subsampling != (1, 1)
    ):
        raise unsupported(f"A TIFF of {samples.bits} bits with predictor {predictor}")


def _check_tiles(layout: Layout) -> Layout:
    """Check that the tiles are there, and not far more than the image."""
    if layout.tile_width < 1 or layout.tile_height < 1:
        raise corrupt("tiff", "its tiles have no width or height")
    padded = layout.across * layout.tile_width * layout.down * layout.tile_height
    pixels = layout.width * layout.height
    if padded > MAX_PADDING_FACTOR * max(pixels, SMALL_PIXELS):
        raise too_expensive(f"its tiles have {padded:,} pixels, and the image {pixels:,}")
    if layout.compression != NOT_COMPRESSED and layout.tile_bytes > MAX_TILE_BYTES:
        raise too_expensive(f"one of its strips unpacks to {layout.tile_bytes:,} bytes")
    tiles = layout.across * layout.down * layout.planes
    if len(layout.offsets) < tiles:
        raise truncated("tiff")
    if len(layout.counts) < tiles and not (layout.compression == NOT_COMPRESSED or tiles == 1):
        raise corrupt("tiff", "the lengths of its strips are missing")
    total, length = sum(layout.counts[:tiles].tolist()), len(layout.directory.body)
    if total > MAX_SHARED_FACTOR * length + SHARED_BYTES:
        raise too_expensive(f"its strips have {total:,} bytes, and the file {length:,}")
    if layout.compression != NOT_COMPRESSED and tiles > 1 and not layout.counts[:tiles].all():
        raise unsupported("A TIFF with empty tiles")
    return layout
