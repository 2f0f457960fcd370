import numpy as np
import pytest
from numpy.typing import NDArray

from serving.engines import divide_logits, with_temperature
from serving.engines.outputs import Outputs
from serving.preprocess import Pixels


def softmax(logits: NDArray[np.floating]) -> NDArray[np.floating]:
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))


@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0, 1.7, 10.0])
def test_probabilities_are_those_of_the_divided_logits(temperature: float) -> None:
    logits = np.random.default_rng(0).normal(0, 2, (50, 12))
    divided = divide_logits(softmax(logits), temperature)
    assert divided == pytest.approx(softmax(logits / temperature), rel=1e-9)


def test_the_best_label_stays_where_another_is_one_float32_behind() -> None:
    """In float32 both became equal, and the first of equal scores is the answer."""
    second = np.float32(0.4)
    row = np.array([[second, np.nextafter(second, np.float32(1)), 0.2]], np.float32)
    for temperature in (0.5, 1.3, 3.0, 10.0):
        assert divide_logits(row, temperature).argmax() == 1


def test_probabilities_of_0_stay_0_and_do_not_warn() -> None:
    row = np.array([[1, 0, 0], [0.5, 0.5, 0]], np.float32)
    assert divide_logits(row, 3.0).tolist() == [[1, 0, 0], [0.5, 0.5, 0]]
    assert row.tolist() == [[1, 0, 0], [0.5, 0.5, 0]], "the engine may use its buffer again"


def test_a_model_without_a_temperature_is_served_by_its_engine_alone() -> None:
    def engine(pixels: Pixels, exclusive: bool) -> Outputs:
        raise NotImplementedError

    assert with_temperature(engine, None) is engine


def test_a_temperature_leaves_the_features_as_they_are() -> None:
    features = np.ones((1, 4), np.float32)

    def engine(pixels: Pixels, exclusive: bool) -> Outputs:
        return Outputs(np.array([[0.8, 0.2]], np.float32), features)

    outputs = with_temperature(engine, 2.0)(np.zeros((1, 8, 8, 3), np.uint8), True)
    assert outputs.features is features
    assert outputs.scores[0].tolist() == pytest.approx([2 / 3, 1 / 3])
