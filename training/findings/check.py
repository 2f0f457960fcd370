"""Checks a data set: which images a model should not learn from, or not be evaluated on."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from training.config.train_config import TrainConfig
from training.data import dataset as data
from training.data.dataset import Dataset
from training.findings.finding import KINDS, DataFinding
from training.findings.label_errors import find_margins
from training.findings.outliers import find_distances
from training.findings.pictures import DatasetMeasures, measure_dataset
from training.findings.twins import PictureList, Twins, find_twins

EVERY_IMAGE = 1.0
"""The share that may be unreadable: `training.data.dataset.describe` lists them."""

LABEL_MARGIN = 0.3
"""How much more probable than its own another label is for an image whose label is in doubt. Of
2,158 photographs of clothing 2 % reach it, and 0.85 of the wrong labels planted among them."""

OUTLIER = 3.5
"""Deviations by which an outlier is farther from its neighbours than is usual. None of 2,158
photographs of clothing reaches it, the farthest 2.9; of other subjects most reach 3.6 to 5.2."""

DARK = 0.25
"""Largest brightness, as a share of white, at the brightest hundredth of a dark picture."""

BLURRED = 0.12
"""Sharpness below which a picture is blurred; see `pictures.PictureMeasures.sharpness`."""

BLANK = 8 / 255
"""Contrast below which a picture shows one colour."""

TINY_SIDE = 64
"""Pixels of a shorter side below which a picture is tiny: networks look at 224 and more."""

IMBALANCE = 10
"""Training images of the largest class for one of the class that is too small."""

KEPT_FIRST = ("test", "validation", "train")
"""Of the same picture in two splits, the copy in the later one is named: without it, the images
that compare models stay what they were."""

OnStep = Callable[[str, int, int], None]
"""What is done, how many images are completed, and of how many. May raise."""


def load(folder: Path, check_interrupt: Callable[[], None]) -> Dataset:
    """The data set as training reads it, with the splits that training makes. Raises
    TrainingFailed.
    """
    needs_test = TrainConfig().selects_by_validation
    return data.prepare(folder, needs_test, EVERY_IMAGE, check_interrupt)


def check(
    dataset: Dataset, on_step: OnStep, label_margin: float = LABEL_MARGIN
) -> list[DataFinding]:
    """All findings, by kind as in KINDS and the strongest first. Raises TrainingFailed.

    An image has at most one of each kind. `label_margin`: of label errors, the smallest.
    """
    with TemporaryDirectory(prefix="sortbox-") as scratch:
        measures = measure_dataset(
            dataset,
            Path(scratch, "features"),
            lambda done, of: on_step("images measured", done, of),
        )
        findings = [
            *_of_copies(dataset, measures, lambda done, of: on_step("images compared", done, of)),
            *_of_labels(dataset, measures, label_margin, on_step),
            *_of_outliers(dataset, measures, on_step),
            *_of_pictures(dataset, measures),
            *_of_classes(dataset),
        ]
    order = {kind: number for number, kind in enumerate(KINDS)}
    rising = {"dark", "blurred", "blank", "tiny"}  # where less is worse
    return sorted(
        findings,
        key=lambda one: (
            order[one.finding],
            one.score if one.finding in rising else -one.score,
            one.path,
            one.label,
        ),
    )


def _of_copies(
    dataset: Dataset, measures: DatasetMeasures, on_progress: Callable[[int, int], None]
) -> Iterator[DataFinding]:
    examples = measures.examples
    rank = {split: number for number, split in enumerate(KEPT_FIRST)}
    order = np.array(
        sorted(
            range(len(examples)),
            key=lambda row: (
                rank[examples[row][0]],
                -int(measures.pixels[row]),
                examples[row][1].path,
            ),
        ),
        np.int64,
    )
    kept = [examples[row] for row in order]
    twins = find_twins(
        PictureList(
            measures.signatures[order],
            [example.digest for _, example in kept],
            np.array([rank[split] for split, _ in kept], np.int64),
            np.array([example.label for _, example in kept], np.int64),
            measures.contrast[order] < BLANK,
        ),
        on_progress,
    )
    kinds: dict[str, Twins] = {
        "leak": twins.in_another_split,
        "conflict": twins.with_another_label,
        "duplicate": twins.alike,
    }
    for kind, pairs in kinds.items():
        for row in np.flatnonzero(pairs.rows >= 0):
            split, example = kept[row]
            twin = kept[pairs.rows[row]][1].path
            score = round(float(pairs.similarity[row]), 4)
            label = dataset.labels[example.label]
            yield DataFinding(example.path, split, label, kind, score, twin)


def _of_labels(
    dataset: Dataset, measures: DatasetMeasures, label_margin: float, on_step: OnStep
) -> Iterator[DataFinding]:
    on_step("labels checked", 0, len(measures.examples))
    labels = np.array([example.label for _, example in measures.examples], np.int64)
    margins = find_margins(measures.features, labels, len(dataset.labels))
    for row in np.flatnonzero(margins.margin >= label_margin):
        split, example = measures.examples[row]
        label, score = dataset.labels[example.label], round(float(margins.margin[row]), 4)
        suggestion = dataset.labels[margins.suggestion[row]]
        yield DataFinding(example.path, split, label, "label_error", score, suggestion)


def _of_outliers(
    dataset: Dataset, measures: DatasetMeasures, on_step: OnStep
) -> Iterator[DataFinding]:
    on_step("neighbours compared", 0, len(measures.examples))
    labels = np.array([example.label for _, example in measures.examples], np.int64)
    distances = find_distances(measures.features, labels, len(dataset.labels))
    for row in np.flatnonzero(distances >= OUTLIER):
        split, example = measures.examples[row]
        label, score = dataset.labels[example.label], round(float(distances[row]), 4)
        yield DataFinding(example.path, split, label, "outlier", score, "")


def _of_pictures(dataset: Dataset, measures: DatasetMeasures) -> Iterator[DataFinding]:
    is_blank = measures.contrast < BLANK
    is_dark = measures.brightest < DARK
    is_tiny = measures.shorter_side < TINY_SIDE
    plain = is_blank | is_tiny  # neither has edges that could be sharp
    kinds: dict[str, tuple[NDArray[np.bool_], NDArray[np.generic]]] = {
        "dark": (is_dark, measures.brightest),
        "blurred": (~plain & (measures.sharpness < BLURRED), measures.sharpness),
        "blank": (is_blank & ~is_dark, measures.contrast),
        "tiny": (is_tiny, measures.shorter_side),
    }
    for kind, (is_found, scores) in kinds.items():
        for row in np.flatnonzero(is_found):
            split, example = measures.examples[row]
            label, score = dataset.labels[example.label], round(float(scores[row]), 4)
            yield DataFinding(example.path, split, label, kind, score, "")


def _of_classes(dataset: Dataset) -> Iterator[DataFinding]:
    counts = dataset.class_images("train")
    largest = max(counts.values())
    for label, count in counts.items():
        if count * IMBALANCE < largest:
            yield DataFinding("", "train", label, "imbalance", round(largest / count, 1), "")
