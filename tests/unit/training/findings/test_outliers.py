"""Pictures unlike all others are far from their neighbours; small classes are not."""

import numpy as np
from numpy.typing import NDArray

from training.findings import outliers
from training.findings.check import OUTLIER
from training.findings.features import FEATURES, FeatureTable
from training.findings.outliers import find_distances


def around(centre: NDArray[np.float64], count: int, random: np.random.Generator) -> FeatureTable:
    rows = np.sqrt(centre + random.gamma(1.0, 0.3, (count, FEATURES)))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float16)


def test_foreign_pictures_are_far_and_others_are_not() -> None:
    random = np.random.default_rng(0)
    centres = random.gamma(0.5, 2.0, (14, FEATURES))
    table = np.concatenate(
        [around(centres[number], 60, random) for number in range(4)]
        + [around(centres[number], 1, random) for number in range(4, 14)]
    )
    labels = np.arange(len(table)) % 4
    distances = find_distances(table, labels, 4)
    assert (distances[:240] < OUTLIER).all()
    assert (distances[240:] > OUTLIER).all()


def test_of_many_images_each_class_keeps_enough_to_compare_with() -> None:
    """Of a class of a hundred among a million a plain sample keeps two: all of it would be far."""
    labels = np.zeros(outliers.REFERENCES + 5_000, np.int64)
    labels[::500] = 1
    references = outliers._references(labels, 2)
    assert len(references) <= outliers.REFERENCES
    assert (labels[references] == 1).sum() == (labels == 1).sum()
    assert len(set(references.tolist())) == len(references)


def test_of_a_handful_of_images_none_is_an_outlier() -> None:
    random = np.random.default_rng(1)
    table = around(random.gamma(0.5, 2.0, FEATURES), outliers.LEAST_IMAGES - 1, random)
    labels = np.zeros(len(table), np.int64)
    assert not find_distances(table, labels, 1).any()
