"""Which number is white, where neither the type nor a tag says so: floats, and 32-bit integers.

One pixel never decides: a hundredth of the values may lie outside of a range.
"""

from collections.abc import Iterable

import numpy as np

from serving.decoding.formats.tiff.layout import FLOAT, SIGNED, Samples
from serving.decoding.formats.tiff.samples import Values
from serving.decoding.undecodable import unsupported

OUTSIDE_SHARE = 0.01
UNIT_TOLERANCE = 1 / 255
"""Floats of 0 to 1 may be so much larger or smaller, by rounding or resampling."""

WHOLE_WHITES = (255, 65_535)
"""White of 8- and 16-bit integers that a program has stored as floats or 32-bit integers."""


def find_white(blocks: Iterable[Values], samples: Samples) -> float:
    """Of visible pixels x channels, block by block.

    Raises UndecodableError if the values have none of the usual ranges.
    """
    largest = 2**31 - 1 if samples.format == SIGNED else 2**32 - 1
    limits = np.array([1 + UNIT_TOLERANCE, *WHOLE_WHITES, largest / 256])
    beyond = np.zeros(len(limits), np.int64)
    count, negative, fractions, lowest, highest = 0, 0, 0, np.inf, -np.inf
    for block in blocks:
        values = block[:, : samples.colours].astype(np.float64).ravel()
        values = values[np.isfinite(values)]
        count += len(values)
        negative += np.count_nonzero(values < -UNIT_TOLERANCE)
        fractions += np.count_nonzero(values % 1)
        lowest, highest = values.min(initial=lowest), values.max(initial=highest)
        beyond += [np.count_nonzero(values > limit) for limit in limits]
    few = OUTSIDE_SHARE * count
    if negative <= few:
        if samples.format == FLOAT and beyond[0] <= few:
            return 1.0
        for white, outside in zip(WHOLE_WHITES, beyond[1:], strict=False):
            if fractions <= few and outside <= few:
                return float(white)
        if samples.format != FLOAT and beyond[-1] > few:
            return float(largest)
    kind = "floating-point numbers" if samples.format == FLOAT else "32-bit integers"
    usual = "0 to 1" if samples.format == FLOAT else f"0 to {largest:,}"
    raise unsupported(f"A TIFF of {kind} from {lowest:g} to {highest:g}, in place of {usual},")
