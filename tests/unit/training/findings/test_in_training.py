"""A training reports what `data check` finds, without reading the images again."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from domain.model import Preprocessing
from serving.preprocess import Inputs
from tests.support.data_sets import scenes
from training.config.errors import Interrupted
from training.config.train_config import TrainConfig
from training.data import features
from training.data.dataset import Dataset, Example
from training.data.features import Rows
from training.data.loader import Images
from training.distributed import Distributed
from training.findings.check import check, load
from training.findings.in_training import MAX_IMAGES, Measured, check_measured, describe_findings
from training.findings.pictures import PictureTable

ON = TrainConfig()


def uninterrupted() -> None:
    """No signal comes."""


def measured_by_a_head(dataset: Dataset, scratch: Path) -> Measured:
    """As the training of a head passes over all images; colours stand in for features."""
    numbers = Preprocessing(256, 224, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    one_process = Distributed.from_env({})
    pictures = PictureTable.of(dataset)

    def extract(inputs: Inputs) -> Rows:
        return np.asarray(inputs.reshape(len(inputs), 3, 16, -1).mean(3).reshape(len(inputs), -1))

    with Images(dataset, numbers, TrainConfig(decoders=2), one_process) as images:
        values = features.compute(
            images,
            extract,
            scratch / "features",
            one_process,
            lambda done, of: None,
            pictures.record,
        )
    return Measured(pictures, values)


def test_a_heads_training_finds_the_copies_without_reading_an_image_again(tmp_path: Path) -> None:
    root = scenes.folder(tmp_path / "photos", 6)
    shutil.copy(root / "test/hat/0.jpg", root / "train/hat/copy.jpg")
    (root / "train/cup/small.jpg").write_bytes(scenes.encode(scenes.scene(502, 66, 62)))
    dataset = load(root, uninterrupted)
    by_check = [
        one
        for one in check(dataset, lambda step, done, of: None)
        if one.finding not in ("label_error", "outlier")  # those depend on the features
    ]
    measured = measured_by_a_head(dataset, tmp_path)
    shutil.rmtree(root)
    checked = check_measured(ON, dataset, measured, tmp_path, uninterrupted)
    assert [one for one in checked.findings if one in by_check] == by_check
    assert {one.path for one in by_check} == {"train/hat/copy.jpg", "train/cup/small.jpg"}


def test_a_fine_tuned_network_has_the_findings_of_the_check(tmp_path: Path) -> None:
    """Its own features follow the labels, and so cannot doubt them."""
    root = scenes.folder(tmp_path / "photos", 6)
    shutil.copy(root / "train/hat/0.jpg", root / "train/cup/copy.jpg")
    dataset = load(root, uninterrupted)
    checked = check_measured(ON, dataset, None, tmp_path, uninterrupted)
    assert checked.findings == check(dataset, lambda step, done, of: None)
    assert "conflict" in describe_findings(checked)


def test_the_check_can_be_switched_off(tmp_path: Path) -> None:
    dataset = load(scenes.folder(tmp_path / "photos", 3), uninterrupted)
    off = replace(ON, check_data="off")
    checked = check_measured(off, dataset, None, tmp_path, uninterrupted)
    assert not checked.findings
    assert "check-data=off" in describe_findings(checked)


def test_more_images_than_can_be_compared_beside_a_training_are_left_to_the_command(
    tmp_path: Path,
) -> None:
    """Comparing takes the square of their number: hours for a million."""
    many = tuple(Example(f"{number}.jpg", 0, "") for number in range(MAX_IMAGES + 1))
    dataset = Dataset(tmp_path, ("a", "b"), {"train": many}, (), (), "")
    checked = check_measured(ON, dataset, None, tmp_path, uninterrupted)
    assert "./sortbox data check" in checked.why_not


def test_a_signal_interrupts_the_check(tmp_path: Path) -> None:
    dataset = load(scenes.folder(tmp_path / "photos", 3), uninterrupted)

    def interrupt() -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        check_measured(ON, dataset, None, tmp_path, interrupt)
