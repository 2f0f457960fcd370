"""Ranks images by how clearly their content speaks for another label than theirs.

A linear head on the features is fitted by least squares on one-hot labels, whose scores estimate
probabilities. Every image is scored by the head that all others would have made: for least squares
that follows from the one head and the image's leverage (Allen, "The relationship between variable
selection and data augmentation", 1974), so that no image speaks for its own label, and no chance
decides. It takes one pass to fit and one to score, where logistic regression needs many.
docs/benchmarks.md has how many planted errors come first.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.findings.features import FeatureTable
from training.model.prediction import labels_and_scores

DECAY = 0.3
"""Of the head's weights, as a share of the features' mean square. With 0.01 a head follows the
wrong labels that it is fitted on."""

OWN_WEIGHT = 2.0
"""How much more the score of an image's own label counts than that of the best other. A wrong label
has little of its own; between two classes that look alike both have much. Chosen on a half of 2,158
photographs of clothing; docs/benchmarks.md has what it does for the other half."""

BIAS = 0.5
"""A constant feature."""

FEWEST_IMAGES = 5
"""Of a class with fewer, the others do not say what it looks like."""

HIGHEST_LEVERAGE = 0.999

ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class LabelDoubts:
    doubt: NDArray[np.float32]
    """(N,) The score of the best other label minus OWN_WEIGHT times that of the image's own: 1
    where only the other is probable, 0 where its own is half as probable. -inf for an image of a
    class with fewer than FEWEST_IMAGES."""
    suggestion: NDArray[np.int64]
    """(N,) The best other label."""


def find_doubts(table: FeatureTable, labels: NDArray[np.int64], classes: int) -> LabelDoubts:
    """`labels`: (N,), each below `classes`, of which there are two or more.

    Takes 8 bytes for each pair of features, 13 MB with 1,280, and 10 kB for each class besides the
    table.
    """
    inputs_count = table.shape[1] + 1
    product = np.zeros((inputs_count, inputs_count))
    targets = np.zeros((inputs_count, classes), np.float32)
    for rows, inputs in _blocks(table):
        product += inputs.T @ inputs
        targets += inputs.T @ _one_hot(labels[rows], classes)
    product[np.diag_indices_from(product)] += DECAY * np.trace(product) / len(product)
    inverse = np.linalg.inv(product).astype(np.float32)
    head = inverse @ targets  # (features + 1, classes)
    doubt = np.empty(len(labels), np.float32)
    suggestion = np.empty(len(labels), np.int64)
    for rows, inputs in _blocks(table):
        leverage = np.minimum(((inputs @ inverse) * inputs).sum(1), HIGHEST_LEVERAGE)
        at, own = np.arange(len(rows)), labels[rows]
        scores = inputs @ head - leverage[:, None] * _one_hot(own, classes)
        scores /= 1 - leverage[:, None]  # (n, classes), without the image itself
        own_scores = scores[at, own].copy()
        scores[at, own] = -np.inf
        suggestion[rows], best_scores = labels_and_scores(scores)
        doubt[rows] = best_scores - OWN_WEIGHT * own_scores
    is_small = np.bincount(labels, minlength=classes) < FEWEST_IMAGES
    doubt[is_small[labels]] = -np.inf
    return LabelDoubts(doubt, suggestion)


def _one_hot(labels: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    """(n, classes)"""
    rows = np.zeros((len(labels), classes), np.float32)
    rows[np.arange(len(labels)), labels] = 1
    return rows


def _blocks(table: FeatureTable) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Rows, and the features of each with the constant: (n, features + 1)."""
    for start in range(0, len(table), ROWS_AT_ONCE):
        block = np.asarray(table[start : start + ROWS_AT_ONCE], np.float32)
        constant = np.full((len(block), 1), BIAS, np.float32)
        yield np.arange(start, start + len(block)), np.hstack([block, constant])
