"""Checks a data set: which images a model should not learn from, or not be evaluated on."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from training.config.train_config import TrainConfig
from training.data import dataset as data
from training.data.dataset import Dataset
from training.findings.features import FeatureTable
from training.findings.finding import KINDS, DataFinding
from training.findings.label_errors import find_doubts
from training.findings.outliers import find_distances
from training.findings.pictures import PictureTable
from training.findings.twins import PictureList, Twins, find_twins

EVERY_IMAGE = 1.0
"""The share that may be unreadable: `training.data.dataset.describe` lists them."""

LABEL_DOUBT = 0.1
"""From which a label is in doubt, see `label_errors.LabelDoubts`. Of 2,158 photographs of clothing
2 % reach it, and 0.92 of the wrong labels planted among them."""

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


def check(dataset: Dataset, on_step: OnStep, label_doubt: float = LABEL_DOUBT) -> list[DataFinding]:
    """All findings, by kind as in KINDS and the strongest first. Raises TrainingFailed.

    An image has at most one of each kind. `label_doubt`: of label errors, the smallest.
    """
    from training.findings.measure import measure_dataset  # imports OpenVINO

    with TemporaryDirectory(prefix="sortbox-") as scratch:
        pictures, features = measure_dataset(
            dataset,
            Path(scratch, "features"),
            lambda done, of: on_step("images measured", done, of),
        )
        return find(dataset, pictures, features, on_step, label_doubt)


def find(
    dataset: Dataset,
    pictures: PictureTable,
    features: FeatureTable,
    on_step: OnStep,
    label_doubt: float = LABEL_DOUBT,
) -> list[DataFinding]:
    """What `check` finds, from what is measured already. `features`: of the images of `pictures`,
    in their order.
    """
    labels = np.array([example.label for _, example in pictures.examples], np.int64)
    on_step("images compared", 0, len(labels))
    findings = [
        *_of_copies(dataset, pictures, lambda done, of: on_step("images compared", done, of)),
        *_of_classes(dataset),
        *_of_pictures(dataset, pictures),
    ]
    on_step("labels checked", 0, len(labels))
    doubts = find_doubts(features, labels, len(dataset.labels))
    for row in np.flatnonzero(doubts.doubt >= label_doubt):
        suggestion = dataset.labels[doubts.suggestion[row]]
        score = float(doubts.doubt[row])
        findings.append(_finding(dataset, pictures, row, "label_error", score, suggestion))
    on_step("neighbours compared", 0, len(labels))
    distances = find_distances(features, labels, len(dataset.labels))
    for row in np.flatnonzero(distances >= OUTLIER):
        findings.append(_finding(dataset, pictures, row, "outlier", float(distances[row])))
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


def _finding(
    dataset: Dataset,
    pictures: PictureTable,
    row: int,
    kind: str,
    score: float,
    other: str = "",
) -> DataFinding:
    split, example = pictures.examples[row]
    label = dataset.labels[example.label]
    return DataFinding(example.path, split, label, kind, round(score, 4), other)


def _of_copies(
    dataset: Dataset, pictures: PictureTable, on_progress: Callable[[int, int], None]
) -> Iterator[DataFinding]:
    examples = pictures.examples
    rank = {split: number for number, split in enumerate(KEPT_FIRST)}
    order = np.array(
        sorted(
            range(len(examples)),
            key=lambda row: (
                rank[examples[row][0]],
                -int(pictures.pixels[row]),
                examples[row][1].path,
            ),
        ),
        np.int64,
    )
    kept = [examples[row] for row in order]
    twins = find_twins(
        PictureList(
            pictures.signatures[order],
            [example.digest for _, example in kept],
            np.array([rank[split] for split, _ in kept], np.int64),
            np.array([example.label for _, example in kept], np.int64),
            pictures.contrast[order] < BLANK,
        ),
        on_progress,
    )
    kinds: dict[str, Twins] = {
        "leak": twins.in_another_split,
        "conflict": twins.with_another_label,
        "duplicate": twins.alike,
    }
    for kind, pairs in kinds.items():
        for place in np.flatnonzero(pairs.rows >= 0):
            twin = kept[pairs.rows[place]][1].path
            score = float(pairs.similarity[place])
            yield _finding(dataset, pictures, order[place], kind, score, twin)


def _of_pictures(dataset: Dataset, measures: PictureTable) -> Iterator[DataFinding]:
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
            yield _finding(dataset, measures, row, kind, float(scores[row]))


def _of_classes(dataset: Dataset) -> Iterator[DataFinding]:
    counts = dataset.class_images("train")
    largest = max(counts.values())
    for label, count in counts.items():
        if count * IMBALANCE < largest:
            yield DataFinding("", "train", label, "imbalance", round(largest / count, 1), "")
