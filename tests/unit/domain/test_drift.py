"""Drift: quiet folders stay quiet, and low scores are found."""

from random import Random

import pytest

from domain.scores.drift import (
    ALARM_PROBABILITY,
    BINS,
    bin_of,
    compare,
    make_histogram,
    parse_histogram,
)

QUIET_FOLDERS = 4_000
CONFIDENT = [0, 0, 0, 0, 0, 1, 4, 6, 9, 12, 14, 12, 13, 14, 16, 19, 23, 30, 48, 480]
"""Weights of bins, as of a network that is mostly sure."""


def draw(random: Random, count: int, weights: list[int] = CONFIDENT) -> list[int]:
    histogram = [0] * BINS
    for number in random.choices(range(BINS), weights, k=count):
        histogram[number] += 1
    return histogram


@pytest.mark.parametrize("images", [50, 200])
def test_fewer_than_one_quiet_folder_in_a_thousand_rings(images: int) -> None:
    random = Random(images)
    alarms = 0
    for _ in range(QUIET_FOLDERS):
        drift = compare(draw(random, 340), draw(random, images))
        assert drift is not None
        alarms += drift.is_alarming
    assert alarms < QUIET_FOLDERS / 1_000


def test_low_scores_ring() -> None:
    random, alarms = Random(1), 0
    for _ in range(100):
        low = draw(random, 60, [0, 0, 0, 0, 1, 2, 3, 4, 4, 4, 3, 2, 2, 1, 1, 1, 1, 1, 1, 2])
        folder = [a + b for a, b in zip(draw(random, 140), low, strict=True)]
        drift = compare(draw(random, 340), folder)
        assert drift is not None
        alarms += drift.is_alarming
    assert alarms >= 95, "three tenths of 200 images have low scores"


def test_higher_scores_and_equal_ones_do_not_ring() -> None:
    middling, sure = [0] * BINS, [0] * BINS
    middling[10], sure[19] = 300, 300
    for test, answers in ((middling, sure), (sure, sure)):
        drift = compare(test, answers)
        assert drift is not None
        assert drift.probability > 0.5
    falling = compare(sure, middling)
    assert falling is not None
    assert falling.probability < ALARM_PROBABILITY


def test_of_few_images_nothing_is_said() -> None:
    assert compare([0] * 19 + [49], [0] * 19 + [500]) is None
    assert compare([0] * 19 + [500], [0] * 19 + [49]) is None
    assert compare([0] * 20, [0] * 20) is None


def test_every_score_has_a_bin() -> None:
    assert [bin_of(score) for score in (0.0, 0.049, 0.05, 0.999, 1.0)] == [0, 0, 1, 19, 19]
    assert sum(make_histogram([0.2, 1.0, 1.0])) == 3


@pytest.mark.parametrize("value", [None, {}, [1], [0.5] * 20, [True] * 20, [-1] * 20, ["1"] * 20])
def test_what_is_no_histogram_is_none(value: object) -> None:
    assert parse_histogram(value) is None
    assert parse_histogram([1] * BINS) == [1] * BINS
