"""Ranks images by how clearly their content speaks for another label than theirs.

Five linear heads on the features each leave out a fifth of the images, and score those: no image
speaks for its own label. A head is fitted by least squares on one-hot labels, whose scores estimate
probabilities. It has one solution, found in one pass over the features, where logistic regression
needs many. docs/benchmarks.md has how many planted errors come first.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.findings.features import FEATURES, FeatureTable
from training.model.prediction import labels_and_scores

FOLDS = 5

DECAY = 0.3
"""Of a head's weights, as a share of the features' mean square. With 0.01 a head follows the wrong
labels that it is fitted on."""

BIAS = 0.5
"""A constant feature."""

FOLD_SEED = 0

ROWS_AT_ONCE = 4096


@dataclass(frozen=True)
class LabelMargins:
    margin: NDArray[np.float32]
    """(N,) The score of the best other label minus that of the image's own; above 0, the other is
    more probable. -1 for an image of a class with fewer than FOLDS images."""
    suggestion: NDArray[np.int64]
    """(N,) The best other label."""


def find_margins(table: FeatureTable, labels: NDArray[np.int64], classes: int) -> LabelMargins:
    """`labels`: (N,), each below `classes`, of which there are two or more. Takes 13 MB for each
    fold and 50 kB for each class besides the table.
    """
    folds = _assign_folds(labels, classes)
    products = np.zeros((FOLDS, FEATURES + 1, FEATURES + 1))
    targets = np.zeros((FOLDS, FEATURES + 1, classes), np.float32)
    for rows, inputs in _blocks(table):
        for fold in range(FOLDS):
            own = inputs[folds[rows] == fold]  # (n, FEATURES + 1)
            products[fold] += own.T @ own
            one_hot = np.zeros((len(own), classes), np.float32)
            one_hot[np.arange(len(own)), labels[rows][folds[rows] == fold]] = 1
            targets[fold] += own.T @ one_hot
    heads = []
    for fold in range(FOLDS):
        product = products.sum(0) - products[fold]
        product[np.diag_indices_from(product)] += DECAY * np.trace(product) / len(product)
        head = np.linalg.solve(product, targets.sum(0) - targets[fold])
        heads.append(head.astype(np.float32))  # (FEATURES + 1, classes)
    margin = np.empty(len(labels), np.float32)
    suggestion = np.empty(len(labels), np.int64)
    for rows, inputs in _blocks(table):
        for fold in range(FOLDS):
            here = rows[folds[rows] == fold]
            scores = inputs[folds[rows] == fold] @ heads[fold]  # (n, classes)
            at = np.arange(len(here))
            own_scores = scores[at, labels[here]]
            scores[at, labels[here]] = -np.inf
            suggestion[here], best_scores = labels_and_scores(scores)
            margin[here] = best_scores - own_scores
    is_small = np.bincount(labels, minlength=classes) < FOLDS
    margin[is_small[labels]] = -1
    return LabelMargins(margin, suggestion)


def _assign_folds(labels: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """The same share of each class in each fold, by chance: files of a folder resemble those that
    are beside them.
    """
    folds = np.empty(len(labels), np.int64)
    order = np.random.default_rng(FOLD_SEED).permutation(len(labels))
    for label in range(classes):
        own = order[labels[order] == label]
        folds[own] = np.arange(len(own)) % FOLDS
    return folds


def _blocks(table: FeatureTable) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Rows, and the features of each with the constant: (n, FEATURES + 1)."""
    for start in range(0, len(table), ROWS_AT_ONCE):
        block = np.asarray(table[start : start + ROWS_AT_ONCE], np.float32)
        constant = np.full((len(block), 1), BIAS, np.float32)
        yield np.arange(start, start + len(block)), np.hstack([block, constant])
