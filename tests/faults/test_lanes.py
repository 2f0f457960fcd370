"""One uploader's many singles do not delay another's few: the bound, in a model of the stage."""

from dataclasses import replace

from tests.faults.simulation.lanes import BATCH, MOVE_SECONDS, Stage, a_minute_later
from tests.faults.test_simulation import quiet

__all__ = ["quiet"]

SCALED = Stage(upload_concurrency=2, backlog_concurrency=2, uploader_burst=10, rate=10)
"""A fifth of a stage's endpoint, so that a fifth of the singles is as much to it."""

SINGLES = 20_000


def test_ten_wait_for_the_moving_of_a_flood_and_not_for_its_answers() -> None:
    """All of it is there at once: the worst that can be."""
    lanes = a_minute_later(SINGLES, a_second=1e9, stage=SCALED)
    moving = SINGLES * MOVE_SECONDS / (BATCH * SCALED.upload_concurrency)
    first_answers = SCALED.upload_concurrency * SCALED.uploader_burst / SCALED.rate
    ten = (10 + BATCH * (SCALED.upload_concurrency + SCALED.backlog_concurrency)) / SCALED.rate
    bound = max(0.0, moving + 2 * first_answers - 60) + ten
    assert len(lanes.waits["few"]) == 10
    assert max(lanes.waits["few"]) <= bound < 10, "without the lane, half an hour"


def test_without_an_allowance_they_wait_for_every_answer() -> None:
    """The model would tell: so does a mistake that lets a flood through."""
    stage = replace(SCALED, uploader_burst=1_000_000)
    lanes = a_minute_later(2_000, a_second=1e9, stage=stage)
    assert max(lanes.waits["few"]) > 2_000 / SCALED.rate - 60 - 5


def test_the_flood_itself_goes_as_fast_as_the_endpoint() -> None:
    """Its lane is slower by nothing but the move, where nobody else is there."""
    lanes = a_minute_later(400, a_second=1e9, stage=SCALED)
    assert max(lanes.waits["many"]) <= 400 / SCALED.rate + 5
