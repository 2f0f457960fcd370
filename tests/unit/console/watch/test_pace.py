"""How fast answers come, and how long the rest takes."""

import pytest

from console.watch.pace import WINDOW_SECONDS, Pace


def pace(*counts: tuple[float, int]) -> Pace:
    made = Pace()
    for at, answers in counts:
        made.add(at, answers)
    return made


def test_without_two_counts_nothing_is_said() -> None:
    assert (pace().rate, pace().seconds_left(10)) == (0, None)
    assert (pace((0, 5)).rate, pace((0, 5)).seconds_left(10)) == (0, None)


def test_the_rate_is_that_of_the_last_minute() -> None:
    counts = pace((0, 0), (100, 1000), (100 + WINDOW_SECONDS / 2, 1000), (160, 1060))
    assert counts.rate == pytest.approx(1)
    assert counts.seconds_left(1180) == pytest.approx(120)
    assert len(counts.counts) <= 3


def test_the_time_in_which_nothing_waits_does_not_lower_the_rate() -> None:
    counts = Pace()
    for at in range(0, 60, 2):
        counts.add(at, 5, 5)
    assert not counts.is_stuck(60, 30), "nothing waits, so nothing is stuck"
    counts.add(60, 15, 25)
    assert counts.rate == pytest.approx(5), "10 answers since the last look, 2 seconds ago"
    assert counts.seconds_left(25) == pytest.approx(2)


def test_nothing_is_left_when_all_are_answered_or_answers_are_removed() -> None:
    assert pace((0, 0), (10, 10)).seconds_left(10) is None
    assert pace((0, 10), (10, 5)).rate == 0


def test_it_is_stuck_when_no_answer_has_come_for_a_while() -> None:
    counts = pace((0, 0), (10, 10), (20, 10), (39, 10))
    assert not counts.is_stuck(39, 30)
    assert counts.is_stuck(40, 30)
    counts.add(41, 11)
    assert not counts.is_stuck(42, 30)
