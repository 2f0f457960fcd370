import numpy as np
import pytest
from numpy.typing import NDArray

from serving.engines import divide_logits
from training.model.calibration import SHARPEST, cross_entropy, fit_temperature

LABELS = 7


def drawn(temperature: float, images: int) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """Labels drawn from the probabilities of logits / temperature; and what softmax gives."""
    rng = np.random.default_rng(5)
    logits = rng.normal(0, 3, (images, LABELS))
    exact = _softmax(logits / temperature)
    truth = np.array([rng.choice(LABELS, p=row) for row in exact])
    return _softmax(logits).astype(np.float32), truth


def _softmax(logits: NDArray[np.floating]) -> NDArray[np.floating]:
    raised: NDArray[np.floating] = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))


@pytest.mark.parametrize("temperature", [0.7, 1.0, 1.6, 4.0])
def test_the_temperature_that_labels_were_drawn_with_is_found(temperature: float) -> None:
    scores, truth = drawn(temperature, 4_000)
    assert fit_temperature(scores, truth) == pytest.approx(temperature, rel=0.06)


def test_no_neighbour_has_a_lower_cross_entropy() -> None:
    scores, truth = drawn(1.6, 300)
    best = fit_temperature(scores, truth)
    least = cross_entropy(divide_logits(scores, best), truth)
    for other in (0.98 * best, 1.02 * best):
        assert cross_entropy(divide_logits(scores, other), truth) > least


def test_images_that_are_all_right_do_not_make_scores_certain() -> None:
    """The least cross-entropy would be at temperature 0: every score 1."""
    scores, _ = drawn(1.0, 200)
    assert fit_temperature(scores, scores.argmax(1)) == pytest.approx(SHARPEST, abs=1e-3)


def test_a_true_label_of_probability_0_keeps_the_temperature_finite() -> None:
    scores, truth = drawn(1.0, 200)
    scores[0] = np.eye(LABELS, dtype=np.float32)[(truth[0] + 1) % LABELS]
    assert 1.0 < fit_temperature(scores, truth) < 10
