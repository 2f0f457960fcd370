"""Planted label errors stand out by their margins."""

import numpy as np
import pytest
from numpy.typing import NDArray

from training.findings.features import FEATURES, FeatureTable
from training.findings.label_errors import FOLDS, find_margins

IMAGES, CLASSES, SHARE = 1_000, 8, 0.05


def clusters(seed: int) -> tuple[FeatureTable, NDArray[np.int64]]:
    """Features of classes that overlap a little, as those of photographs do."""
    random = np.random.default_rng(seed)
    centres = random.gamma(1.0, 1.0, (CLASSES, FEATURES))
    labels = random.integers(0, CLASSES, IMAGES)
    values = centres[labels] + random.gamma(1.0, 3.0, (IMAGES, FEATURES))
    rows = np.sqrt(values)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float16), labels


@pytest.mark.parametrize("seed", range(3))
def test_planted_errors_are_within_the_first_twice_their_number(seed: int) -> None:
    table, labels = clusters(seed)
    random = np.random.default_rng(seed + 100)
    planted = random.choice(IMAGES, int(SHARE * IMAGES), replace=False)
    wrong = labels.copy()
    wrong[planted] = (labels[planted] + random.integers(1, CLASSES, len(planted))) % CLASSES
    margins = find_margins(table, wrong, CLASSES)
    first = np.argsort(-margins.margin)[: 2 * len(planted)]
    assert np.isin(planted, first).mean() >= 0.95
    assert (margins.suggestion[planted] == labels[planted]).mean() >= 0.9
    assert (margins.suggestion != wrong).all(), "the image's own label is no suggestion"


def test_a_class_too_small_for_the_folds_is_not_judged() -> None:
    """Where its only image is left out, the head knows nothing of the class."""
    table, labels = clusters(0)
    labels[labels == 1] = 0
    labels[: FOLDS - 1] = 1
    assert (find_margins(table, labels, CLASSES).margin[: FOLDS - 1] == -1).all()


def test_the_same_data_have_the_same_margins() -> None:
    table, labels = clusters(0)
    one, other = (find_margins(table, labels, CLASSES) for _ in range(2))
    assert np.array_equal(one.margin, other.margin)
