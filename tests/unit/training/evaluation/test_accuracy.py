import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from training.config.errors import TrainingFailed
from training.data.dataset import Example
from training.distributed import Distributed
from training.evaluation import accuracy
from training.evaluation.accuracy import Evaluation
from training.evaluation.archive import compare, read_test_set
from training.model.mcnemar import PairedCounts

SCORES = np.array([[0.9, 0.1], [0.2, 0.8], [0.65, 0.35], [0.4, 0.6]])
TRUTH = np.array([0, 1, 1, 1])


def judged(scores: NDArray[np.float64] = SCORES, truth: NDArray[np.int64] = TRUTH) -> Evaluation:
    batch = (torch.from_numpy(np.log(scores)).float(), torch.from_numpy(truth))
    return accuracy.evaluate(lambda inputs: inputs, [batch], len(truth), Distributed())


def test_a_judgement_counts_what_is_right() -> None:
    found = judged()
    assert found.predicted.tolist() == [0, 1, 0, 1]
    assert found.accuracy == 0.75
    assert found.confusion(2).tolist() == [[1, 0], [1, 2]]
    assert found.loss == pytest.approx(-np.log([0.9, 0.8, 0.35, 0.6]).mean())


def test_calibration_is_the_gap_between_confidence_and_accuracy() -> None:
    third = 2 * abs((0.65 + 0.6) / 2 - 0.5)  # two images share a tenth, and one of them is right
    assert judged().calibration_error == pytest.approx((0.1 + 0.2 + third) / 4)
    certain = judged(np.array([[1 - 1e-9, 1e-9]] * 4), np.array([0, 0, 0, 1]))
    assert certain.calibration_error == pytest.approx(0.25)
    honest = judged(np.array([[0.75, 0.25]] * 4), np.array([0, 0, 0, 1]))
    assert honest.calibration_error == pytest.approx(0.0, abs=1e-6)


def test_one_certain_mistake_is_no_infinite_loss() -> None:
    found = judged(np.array([[1.0, 1e-300]]), np.array([1]))
    assert found.loss < 30


def test_predictions_are_written_a_row_an_image(tmp_path: Path) -> None:
    examples = [Example(f"{name}.png", 0, "") for name in 'a,"d']
    accuracy.write_predictions(tmp_path / "p.csv", judged(), examples, ("cat", "chien é"))
    with (tmp_path / "p.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["a.png", ",.png", '".png', "d.png"]
    assert rows[2] == {
        "image": '".png',
        "label": "chien é",
        "predicted": "cat",
        "confidence": "0.650000",
        "label_probability": "0.350000",
    }


def test_two_models_are_compared_where_one_alone_is_right() -> None:
    other = judged(SCORES[:, ::-1])
    assert compare(judged(), other) == PairedCounts(wins=3, losses=1)
    assert compare(judged(), judged()) == PairedCounts(0, 0)


@pytest.mark.parametrize(
    ("wins", "losses", "p_value", "is_worse"),
    [
        (0, 0, 1.0, False),
        (5, 5, 1.0, False),
        (0, 5, 0.0625, False),
        (0, 6, 0.03125, True),
        (6, 0, 0.03125, False),
        (2, 10, 0.03857421875, True),
    ],
)
def test_worse_means_more_than_luck_explains(
    wins: int, losses: int, p_value: float, is_worse: bool
) -> None:
    paired = PairedCounts(wins, losses)
    assert paired.p_value == pytest.approx(p_value)
    assert paired.is_worse == is_worse


@given(wins=st.integers(0, 3000), losses=st.integers(0, 3000))
def test_the_p_value_is_a_probability_whatever_the_counts(wins: int, losses: int) -> None:
    assert 0 <= PairedCounts(wins, losses).p_value <= 1
    assert PairedCounts(wins, losses).p_value == PairedCounts(losses, wins).p_value


def test_training_images_do_not_evaluate_a_model(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        for split in ("train", "validation", "test"):
            path = tmp_path / "photos" / split / label / "a.png"
            path.parent.mkdir(parents=True)
            Image.new("RGB", (8, 8)).save(path)
    data = tmp_path / "photos"
    for folder in (data, data / "test"):
        assert {Path(one.path).parent for one in read_test_set(folder).examples} == {
            (data / "test" / label).relative_to(read_test_set(folder).root)
            for label in ("cat", "dog")
        }
    shutil.rmtree(data / "test")
    with pytest.raises(TrainingFailed, match=r"photos has no test: name the folder whose images"):
        read_test_set(data)
    assert len(read_test_set(data / "validation").examples) == 2
