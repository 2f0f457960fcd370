"""Planted label errors stand out by their doubts."""

import numpy as np
import pytest
from numpy.typing import NDArray

from training.findings.features import FEATURES, FeatureTable
from training.findings.label_errors import BIAS, DECAY, FEWEST_IMAGES, OWN_WEIGHT, find_doubts

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
    doubts = find_doubts(table, wrong, CLASSES)
    first = np.argsort(-doubts.doubt)[: 2 * len(planted)]
    assert np.isin(planted, first).mean() >= 0.95
    assert (doubts.suggestion[planted] == labels[planted]).mean() >= 0.9
    assert (doubts.suggestion != wrong).all(), "the image's own label is no suggestion"


def test_an_image_is_scored_by_the_head_that_all_others_make() -> None:
    """Otherwise a wrong label speaks for itself, the more so the fewer images there are."""
    table, labels = clusters(0)
    table, labels = table[:60, :20], labels[:60]
    inputs = np.hstack([table.astype(np.float64), np.full((60, 1), BIAS)])
    product = inputs.T @ inputs
    decay = DECAY * np.trace(product) / len(product) * np.eye(21)
    doubts = find_doubts(table, labels, CLASSES).doubt
    for row in range(0, 60, 7):
        others = np.arange(60) != row
        head = np.linalg.solve(
            inputs[others].T @ inputs[others] + decay,
            inputs[others].T @ np.eye(CLASSES)[labels[others]],
        )
        scores = inputs[row] @ head
        best_other = np.delete(scores, labels[row]).max()
        expected = best_other - OWN_WEIGHT * scores[labels[row]]
        assert doubts[row] == pytest.approx(expected, abs=1e-3)


def test_a_class_that_is_too_small_is_not_judged() -> None:
    """Without its only image, the head knows nothing of the class."""
    table, labels = clusters(0)
    labels[labels == 1] = 0
    labels[: FEWEST_IMAGES - 1] = 1
    assert np.isneginf(find_doubts(table, labels, CLASSES).doubt[: FEWEST_IMAGES - 1]).all()
