"""The findings that a training reports, from what it has computed anyway.

A head's training has decoded every image and holds its features: the rest is a millisecond an
image. A network that is fine-tuned has seen other, augmented pictures, and features that follow the
labels: then the bundled network reads every image once more.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.config.train_config import TrainConfig
from training.data.dataset import Dataset
from training.findings.check import find
from training.findings.features import make_table, normalise
from training.findings.finding import DataFinding, count_kinds
from training.findings.pictures import PictureTable

MAX_IMAGES = 20_000
"""All are compared with all: 10 seconds for these, and a hundred times as long for ten times as
many."""

ROWS_AT_ONCE = 4096

NOT_WANTED = "The data were not checked (`check-data=off`)."
TOO_MANY = (
    f"A training checks at most {MAX_IMAGES:,} images: `./sortbox data check` checks any number."
)
NO_ENGINE = "The data were not checked: OpenVINO, which would read them, is not installed."


@dataclass(frozen=True)
class CheckedData:
    """A data set, and what was found in it."""

    dataset: Dataset
    findings: Sequence[DataFinding] = ()
    why_not: str = ""
    """Why nothing was looked for; empty where it was."""


@dataclass(frozen=True)
class Measured:
    """What the training of a head has computed of every image, in the order of the data set."""

    pictures: PictureTable
    features: NDArray[np.float32]
    """(N, features)"""


def why_not(config: TrainConfig, dataset: Dataset) -> str:
    """Why the data will not be checked; empty if they will."""
    if config.check_data == "off":
        return NOT_WANTED
    count = sum(len(examples) for examples in dataset.splits.values())
    return TOO_MANY if count > MAX_IMAGES else ""


def check_measured(
    config: TrainConfig,
    dataset: Dataset,
    measured: Measured | None,
    scratch: Path,
    check_interrupt: Callable[[], None],
) -> CheckedData:
    """`measured`: None has every image read. `scratch`: a folder for 2 bytes a feature.

    `check_interrupt` is called now and then, and may raise. Raises TrainingFailed.
    """
    reason = why_not(config, dataset)
    if measured is None and not find_spec("openvino"):
        reason = reason or NO_ENGINE
    if reason:
        return CheckedData(dataset, why_not=reason)
    table = scratch / "findings.float16"
    if measured is None:
        from training.findings.measure import measure_dataset

        pictures, features = measure_dataset(dataset, table, lambda done, of: check_interrupt())
    else:
        pictures, values = measured.pictures, measured.features
        features = make_table(table, *values.shape)
        for start in range(0, len(values), ROWS_AT_ONCE):
            block = np.asarray(values[start : start + ROWS_AT_ONCE])
            features[start : start + len(block)] = normalise(block)
    findings = find(dataset, pictures, features, lambda step, done, of: check_interrupt())
    return CheckedData(dataset, findings)


def describe_findings(checked: CheckedData) -> str:
    """For the log."""
    if checked.why_not:
        return checked.why_not
    counts = count_kinds(checked.findings)
    listed = ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
    return f"found in the data: {listed or 'nothing'}"
