from dataclasses import replace

import numpy as np
import pytest

from domain.model import ModelCard, Preprocessing, Promise, UnknownRule
from serving.archive import ModelLoadError
from serving.classifier import Classifier
from serving.engines.outputs import Outputs
from serving.neighbours import Neighbours, quantise
from serving.preprocess import Pixels
from serving.settings import Settings
from tests.support.builders.colours import CARD, ENVIRONMENT, Client, colours

RULE = UnknownRule(0.05, 0.5, 5, 100, 10, 3, "0" * 64)


def test_the_distance_is_that_of_the_fifth_nearest_whatever_the_length() -> None:
    angles = np.radians([0, 10, 20, 30, 40, 90])
    rows = quantise(np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32))
    distances = Neighbours(rows).distances(np.array([[7, 0], [0, 0.1]], np.float32))
    assert distances == pytest.approx(1 - np.cos(np.radians([40, 80])), abs=0.01)
    assert Neighbours(rows[:2]).distances(np.array([[1, 0]], np.float32)) == pytest.approx(
        1 - np.cos(angles[1]), abs=0.01
    ), "the last, where there are fewer than five"


def test_eight_bits_change_a_distance_by_less_than_a_thousandth() -> None:
    rng = np.random.default_rng(0)
    features = np.maximum(rng.normal(0.2, 0.3, (200, 1280)), 0).astype(np.float32)
    rows = features / np.linalg.norm(features, axis=1, keepdims=True)
    exact = np.sort(1 - rows[:20] @ rows.T, axis=1)[:, 4]
    assert np.abs(Neighbours(quantise(features)).distances(features[:20]) - exact).max() < 1e-3


def test_a_row_of_zeros_has_no_direction_and_is_far() -> None:
    rows = quantise(np.zeros((5, 4), np.float32))
    assert Neighbours(rows).distances(np.ones((1, 4), np.float32)).tolist() == [1]


@pytest.mark.parametrize(
    ("score", "distance", "promised", "decision"),
    [
        (0.9, 0.2, True, "accepted"),
        (0.3, 0.2, True, "unsure"),
        (0.9, 0.6, True, "unknown"),
        (0.3, 0.6, False, "unknown"),
        (0.9, 0.2, False, None),
    ],
)
def test_unknown_wins_over_accepted_and_unsure(
    score: float, distance: float, promised: bool, decision: str | None
) -> None:
    card = replace(CARD, unknown=RULE, promise=Promise(0.05, 0.5, 90, 1, 100) if promised else None)
    assert card.decide(score, distance) == decision


def test_a_network_without_the_features_that_the_card_relies_on_is_refused() -> None:
    card = ModelCard("c", "none", ("a", "b", "c"), Preprocessing(8, 8, (0,) * 3, (1,) * 3), "")
    settings = Settings.from_env(ENVIRONMENT, processors=1)
    classifier = Classifier(card, colours, settings, 1, Neighbours(np.ones((5, 4), np.int8)))
    try:
        with pytest.raises(ModelLoadError, match=r"has 3 features, but the card .* by 4"):
            classifier.warm_up()
    finally:
        classifier.close()


@pytest.mark.parametrize("number", [np.nan, np.inf])
@pytest.mark.parametrize("output", ["scores", "features"])
def test_a_network_whose_answers_are_no_numbers_is_refused(number: float, output: str) -> None:
    def broken(pixels: Pixels, alone: bool) -> Outputs:
        outputs = colours(pixels, alone)
        numbers = {"scores": outputs.scores, "features": outputs.features}[output]
        assert numbers is not None
        numbers[-1, 0] = number
        return outputs

    classifier = Client(broken).classifier
    try:
        with pytest.raises(ModelLoadError, match="NaN or infinity"):
            classifier.warm_up()
    finally:
        classifier.close()


def test_an_image_whose_features_are_no_numbers_is_unknown() -> None:
    """Nothing says that it is like a training image; and it changes no other image's distance."""
    neighbours = Neighbours(np.ones((5, 4), np.int8))
    features = np.array([[1, 1, np.nan, 1], [1, 1, 1, 1]], np.float32)
    distances = neighbours.distances(features).tolist()
    card = replace(CARD, unknown=RULE, promise=Promise(0.05, 0.5, 90, 1, 100))
    assert [card.decide(0.9, distance) for distance in distances] == ["unknown", "accepted"]
