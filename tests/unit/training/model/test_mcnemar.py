"""The guard's arithmetic; what it keeps and refuses of a real network is in tests/contract."""

import numpy as np
import pytest

from domain.model import Verdict
from training.model.mcnemar import PairedCounts

pytestmark = pytest.mark.slow


def verdict(photos: int, losses: int, wins: int, disagreed: int = 0, sure: int = 0) -> Verdict:
    """fp32 is wrong about the photos that are won and right about all others; labels are 0 to 2."""
    from training.model.quantise import Predictions
    from training.model.quantise import make_verdict as judge

    truth = np.zeros(photos, np.int64)
    before, after = truth.copy(), truth.copy()
    after[:losses] = 1
    before[losses : losses + wins] = 1
    score = np.full(photos, 0.4, np.float32)
    score[photos - sure :] = 0.9
    if disagreed:
        before[-disagreed:], after[-disagreed:] = 1, 2
    return judge("int8", truth, Predictions(before, score), Predictions(after, score))


@pytest.mark.parametrize(("losses", "wins", "p"), [(0, 0, 1), (5, 0, 1 / 16), (6, 0, 1 / 32)])
def test_chance_is_computed_exactly(losses: int, wins: int, p: float) -> None:
    assert verdict(300, losses, wins, sure=50).p_value == pytest.approx(p, abs=1e-6)


@pytest.mark.parametrize(
    ("photos", "losses", "wins", "outcome"),
    [
        (6, 5, 0, "not judged"),
        (100, 60, 40, "not judged"),
        (299, 0, 0, "not judged"),
        (300, 0, 0, "kept"),
        (300, 1, 0, "kept"),
        (300, 3, 0, "refused"),
        (300, 60, 57, "refused"),
        (341, 5, 5, "kept"),
        (500, 60, 42, "refused"),
        (999, 5, 0, "kept"),
        (999, 6, 0, "refused"),
        (999, 0, 6, "kept"),
        (1000, 26, 21, "kept"),
        (1000, 26, 20, "refused"),
        (1000, 200, 199, "refused"),
        (2000, 10, 0, "kept"),
        (2000, 11, 0, "refused"),
    ],
)
def test_what_is_lost_is_bounded_and_few_photos_bound_nothing(
    photos: int, losses: int, wins: int, outcome: str
) -> None:
    """By half a point or five photos as counted, and by 2 points as it might be."""
    seen = verdict(photos, losses, wins, sure=photos // 2)
    assert (seen.photos, seen.outcome) == (photos, outcome)
    if outcome != "not judged":
        assert (seen.losses, seen.wins) == (losses, wins)


@pytest.mark.parametrize(
    ("images", "losses", "wins", "most"),
    [(300, 0, 0, 2.7055 / 302.7055), (1000, 26, 21, 0.0167)],
)
def test_the_bound_on_a_loss_is_tangos(images: int, losses: int, wins: int, most: float) -> None:
    assert PairedCounts(wins, losses).max_loss(images) == pytest.approx(most, abs=2e-4)


@pytest.mark.parametrize(("lost", "won"), [(0.01, 0.01), (0.03, 0.01), (0.05, 0.03), (0.2, 0.1)])
def test_the_bound_holds_as_often_as_it_says(lost: float, won: float) -> None:
    """In 4,000 draws of 400 images; 94 and not 95 %: draws vary, and a score bound is not exact."""
    drawn = np.random.default_rng(0).multinomial(400, [lost, won, 1 - lost - won], 4_000)
    pairs, counts = np.unique(drawn[:, :2], axis=0, return_counts=True)
    bounds = [PairedCounts(int(wins), int(losses)).max_loss(400) for losses, wins in pairs]
    holds = sum(count for bound, count in zip(bounds, counts, strict=True) if bound >= lost - won)
    assert holds / 4_000 > 0.94


@pytest.mark.parametrize(("disagreed", "outcome"), [(1, "kept"), (2, "refused")])
def test_what_fp32_is_sure_of_stays_as_it_is(disagreed: int, outcome: str) -> None:
    seen = verdict(1000, 0, 0, disagreed, sure=200)
    assert (seen.confident, seen.agreed, seen.outcome) == (200, 200 - disagreed, outcome)


def test_a_network_that_is_sure_of_nothing_cannot_be_judged() -> None:
    assert verdict(1000, 0, 0).outcome == "not judged"
