"""How far an image is from the training images: what it may be unknown by.

"Deep Nearest Neighbors" (Sun et al., 2022): images of other things lie farther from the training
images than images of the classes do. The distance is cosine, as only the direction of features
counts. It costs a product of a matrix, whose time is that of reading it: 2.6 MB for 500 rows of
1,280.
"""

import numpy as np
from numpy.typing import NDArray

from serving.archive import Archive
from serving.engines.outputs import Features

NEAREST = 5
"""The distance is that of the fifth nearest; of the last, where there are fewer."""


class Neighbours:
    """The features of training images."""

    def __init__(self, rows: NDArray[np.int8]) -> None:
        """`rows`: (neighbours, features), as `quantise` makes them."""
        self.rows = rows
        self._directions = _normalise(rows.astype(np.float32))  # (neighbours, features)
        self._rank = min(NEAREST, len(rows)) - 1

    @property
    def features(self) -> int:
        return self._directions.shape[1]

    def distances(self, features: Features) -> NDArray[np.float32]:
        """(images, features) to (images,): 0, in the same direction, to 2. Thread-safe."""
        # This way round BLAS reads the larger matrix once, and copies only the smaller one.
        unlike = -(self._directions @ _normalise(features).T)  # (neighbours, images)
        unlike.partition(self._rank, axis=0)
        distances: NDArray[np.float32] = 1 + unlike[self._rank]
        return np.maximum(distances, 0)


def read(archive: Archive) -> Neighbours | None:
    """None for a model without a rule for unknown images. Raises ModelLoadError."""
    rule = archive.card.unknown
    if rule is None:
        return None
    rows = np.frombuffer(archive.neighbours(rule), np.int8)
    return Neighbours(rows.reshape(rule.neighbours, rule.features))


def quantise(features: Features) -> NDArray[np.int8]:
    """(images, features) to int8, each row by its largest number: the cosine changes by 0.0001."""
    largest = np.abs(features).max(1, keepdims=True)
    rows: NDArray[np.int8] = np.rint(features * (127 / np.maximum(largest, 1e-9))).astype(np.int8)
    return rows


def _normalise(rows: Features) -> Features:
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))[:, np.newaxis]  # no second matrix
    directions: Features = rows / np.maximum(lengths, np.float32(1e-9))
    return directions
