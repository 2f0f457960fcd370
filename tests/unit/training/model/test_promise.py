import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import beta

from domain.model import Promise
from training.model.promise import choose_threshold, error_bound


@pytest.mark.parametrize(("wrong", "images"), [(0, 59), (0, 1), (1, 93), (7, 100), (900, 2_000)])
@pytest.mark.parametrize("risk", [0.05, 0.025])
def test_the_bound_is_that_of_clopper_and_pearson(wrong: int, images: int, risk: float) -> None:
    exact = beta.ppf(1 - risk, wrong + 1, images - wrong)
    assert error_bound(wrong, images, risk) == pytest.approx(exact, abs=1e-9)


def test_where_every_answer_is_wrong_nothing_is_bound() -> None:
    assert error_bound(50, 50, 0.05) == 1.0


def drawn(
    rng: np.random.Generator, images: int, noise: float = 0.0
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """Scores as of a fine network, right as often as they say, less the wrong labels."""
    logits = rng.normal(4, 2.5, images)
    scores = 1 / (1 + np.exp(-np.abs(logits)))
    return scores, (logits > 0) & (rng.random(images) >= noise)


@pytest.mark.parametrize("images", [150, 341, 1_000])
@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_the_promise_is_kept_in_19_of_20_trainings(images: int, noise: float) -> None:
    """On a hundred thousand images that chose nothing."""
    rng = np.random.default_rng(7)
    scores, correct = drawn(rng, 100_000, noise)
    broken = 0
    for _ in range(200):
        promise = choose_threshold(*drawn(rng, images, noise), max_error=0.05)
        accepted = scores.round(6) > promise.threshold
        broken += bool(accepted.any() and (~correct[accepted]).mean() > 0.05)
    assert broken <= 10, "more than 5 % of 200 trainings broke their promise"


def test_a_network_that_is_right_accepts_nearly_everything() -> None:
    scores, _ = drawn(np.random.default_rng(1), 400)
    promise = choose_threshold(scores, np.ones(400, bool), 0.05)
    assert (promise.accepted, promise.wrong, promise.threshold) == (400, 0, 0.0)


def test_one_confident_mistake_does_not_end_what_a_thousand_images_show() -> None:
    """Among the first images it exceeds the bound; a sequence that starts with half of them
    goes on.
    """
    scores = np.linspace(1, 0.5, 1_000)
    correct = np.ones(1_000, bool)
    correct[[3, 9, 20, 31]] = False
    assert choose_threshold(scores, correct, 0.05).accepted == 1_000


def test_equal_scores_are_accepted_together_or_not_at_all() -> None:
    scores = np.array([0.9] * 300 + [0.5] * 300)
    correct = np.array([True] * 300 + [False] * 300)
    promise = choose_threshold(scores, correct, 0.05)
    assert promise == Promise(0.05, 0.5, 300, 0, 600)
    assert [promise.decide(score) for score in (0.9, 0.5000004, 0.500001)] == [
        "accepted",
        "unsure",
        "accepted",
    ], "as the rounded score of the reply compares"


@pytest.mark.parametrize("images", [1, 50, 143])
def test_from_few_images_nothing_is_promised(images: int) -> None:
    """72 right ones of 72 exclude 5 %; it starts with twice as many, for one mistake."""
    promise = choose_threshold(np.linspace(1, 0.5, images), np.ones(images, bool), 0.05)
    assert (promise.accepted, promise.threshold) == (0, 1.0)
    assert promise.decide(1.0) == "unsure"


def test_a_network_that_guesses_promises_nothing() -> None:
    scores = np.linspace(1, 0.1, 2_000)
    correct = np.random.default_rng(3).random(2_000) < 0.5
    assert choose_threshold(scores, correct, 0.05).accepted == 0
