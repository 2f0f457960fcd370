"""The guard's arithmetic; what it keeps and refuses of a real network is in tests/contract."""

import numpy as np
import pytest

from domain.model import Verdict

pytestmark = pytest.mark.slow


def verdict(photos: int, losses: int, wins: int, disagreed: int = 0, sure: int = 0) -> Verdict:
    """fp32 is wrong about the photos that are won and right about all others; labels are 0 to 2."""
    from training.quantise import Answers
    from training.quantise import verdict as judge

    truth = np.zeros(photos, np.int64)
    before, after = truth.copy(), truth.copy()
    after[:losses] = 1
    before[losses : losses + wins] = 1
    score = np.full(photos, 0.4, np.float32)
    score[photos - sure :] = 0.9
    if disagreed:
        before[-disagreed:], after[-disagreed:] = 1, 2
    return judge("int8", truth, Answers(before, score), Answers(after, score))


@pytest.mark.parametrize(("losses", "wins", "p"), [(0, 0, 1), (5, 0, 1 / 16), (6, 0, 1 / 32)])
def test_chance_is_computed_exactly(losses: int, wins: int, p: float) -> None:
    assert verdict(100, losses, wins, sure=50).p_value == pytest.approx(p, abs=1e-6)


@pytest.mark.parametrize(
    ("photos", "losses", "wins", "outcome"),
    [
        (999, 5, 0, "kept"),
        (999, 6, 0, "refused"),
        (999, 0, 6, "kept"),
        (1000, 5, 0, "kept"),
        (1000, 6, 0, "refused"),
        (1000, 26, 21, "kept"),
        (1000, 26, 20, "refused"),
    ],
)
def test_few_photos_are_judged_by_chance_and_many_by_half_a_point(
    photos: int, losses: int, wins: int, outcome: str
) -> None:
    seen = verdict(photos, losses, wins, sure=500)
    assert (seen.photos, seen.losses, seen.wins, seen.outcome) == (photos, losses, wins, outcome)


@pytest.mark.parametrize(("disagreed", "outcome"), [(1, "kept"), (2, "refused")])
def test_what_fp32_is_sure_of_stays_as_it_is(disagreed: int, outcome: str) -> None:
    seen = verdict(1000, 0, 0, disagreed, sure=200)
    assert (seen.confident, seen.agreed, seen.outcome) == (200, 200 - disagreed, outcome)


def test_a_network_that_is_sure_of_nothing_cannot_be_judged() -> None:
    assert verdict(1000, 0, 0).outcome == "not judged"
