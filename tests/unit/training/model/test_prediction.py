"""Every evaluation predicts alike: the loop, the report, promotion and the quantised model."""

import ast
from pathlib import Path

import numpy as np
import pytest

from training.model.prediction import labels_and_scores, to_rows

SCORES = np.array([[0.2, 0.7, 0.1], [0.4, 0.4, 0.2], [0.1, 0.2, 0.7]], np.float32)
TRUTH = np.array([1, 1, 0])
PRODUCT = Path(__file__).parents[4]
HOMES = {"training/model/prediction.py", "training/loop/evaluate.py"}


def test_the_first_of_equal_scores_is_predicted() -> None:
    labels, scores = labels_and_scores(SCORES)
    assert labels.tolist() == [1, 0, 2]
    assert scores.tolist() == pytest.approx([0.7, 0.4, 0.7])


def test_a_row_has_both_labels_and_both_probabilities() -> None:
    expected = [[1, 1, 0.7, 0.7], [1, 0, 0.4, 0.4], [0, 2, 0.7, 0.1]]
    assert to_rows(SCORES, TRUTH) == pytest.approx(np.array(expected), abs=1e-6)


def test_the_loop_counts_as_the_report_does() -> None:
    torch = pytest.importorskip("torch")
    from training.loop.evaluate import batch_sums

    logits, truth = torch.from_numpy(np.log(SCORES)), torch.from_numpy(TRUTH)
    loss, correct = batch_sums(logits, truth).tolist()
    rows = to_rows(SCORES, TRUTH)
    assert correct == (rows[:, 0] == rows[:, 1]).sum()
    assert loss == pytest.approx(-np.log(rows[:, 3]).sum(), abs=1e-5)


def test_no_other_module_takes_an_argmax_of_scores() -> None:
    others = {
        str(path.relative_to(PRODUCT))
        for folder in ("training", "serving", "infra")
        for path in (PRODUCT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "argmax"
    }
    assert others == HOMES
