"""Finds pictures that are unlike all others: of another subject, or of none.

How far a picture is from the fifth nearest of the others, by the bundled network's features. Of at
most 20,000 images each is compared with each; of more, with 20,000 that are taken from all classes
alike, so that a million images take fifty times as long as 20,000, and no more memory.
"""

import numpy as np
from numpy.typing import NDArray

from training.findings.features import FeatureTable

NEIGHBOUR = 5
"""The nearest ones may be copies of the picture, or of the same odd thing."""

REFERENCES = 20_000

ROWS_AT_ONCE = 512
"""Whose distances take 40 MB."""

LEAST_IMAGES = 50
"""Fewer do not say which distances are usual."""

NORMAL = 1.4826
"""Median absolute deviations in a standard deviation of a normal distribution."""


def find_distances(
    table: FeatureTable, labels: NDArray[np.int64], classes: int
) -> NDArray[np.float32]:
    """(N,) How many deviations farther than usual each image is from its neighbour; 0 for all of a
    data set with fewer than LEAST_IMAGES.
    """
    count = len(table)
    if count < LEAST_IMAGES:
        return np.zeros(count, np.float32)
    references = _references(labels, classes)
    columns = np.asarray(table[references], np.float32).T  # (features, references)
    distances = np.empty(count, np.float32)
    for start in range(0, count, ROWS_AT_ONCE):
        block = np.asarray(table[start : start + ROWS_AT_ONCE], np.float32)
        similarity = block @ columns  # (n, references)
        rows = np.arange(start, start + len(block))
        similarity[rows[:, None] == references[None, :]] = -np.inf
        distances[rows] = 1 - np.partition(similarity, -NEIGHBOUR, 1)[:, -NEIGHBOUR]
    usual = float(np.median(distances))
    deviation = NORMAL * float(np.median(np.abs(distances - usual)))
    return np.asarray((distances - usual) / max(deviation, 1e-6), np.float32)


def _references(labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """All rows, or as many of each class; a class is never left with fewer than its neighbours."""
    if len(labels) <= REFERENCES:
        return np.arange(len(labels))
    most = max(NEIGHBOUR + 1, REFERENCES // classes)
    rows = []
    order = np.argsort(labels, kind="stable")
    for own in np.split(order, np.searchsorted(labels[order], np.arange(1, classes))):
        rows.append(own[np.linspace(0, len(own) - 1, min(most, len(own))).astype(np.int64)])
    return np.sort(np.concatenate(rows))
