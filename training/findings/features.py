"""What a network sees in the images, for every check that compares content.

A table has a row of half-precision features for each image, in a file that is mapped into memory:
with the bundled network 1,280 features, 2.6 GB for a million images.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FEATURES = 1280
"""Of the bundled network."""

FeatureTable = NDArray[np.float16]
"""(N, features): each row has length 1, so that a product of two is their similarity."""


def normalise(values: NDArray[np.float32]) -> FeatureTable:
    """The rows of a table from what comes before a network's last layer, (n, features).

    The root evens out the few features that would decide alone.
    """
    rows: NDArray[np.float32] = np.sign(values) * np.sqrt(np.abs(values))
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6)
    return rows.astype(np.float16)


def make_table(path: Path, count: int, features: int = FEATURES) -> FeatureTable:
    """Empty, in a new file."""
    return np.memmap(path, np.float16, "w+", shape=(count, features))
