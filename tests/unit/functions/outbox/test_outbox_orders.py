"""Whatever order things happen in, at rest each image has its one answer."""

from itertools import product

import pytest
from hypothesis import settings

from tests.support.worlds.acts import Deliver, Die, Promote, Remove, Step, Upload
from tests.support.worlds.publishing import SINGLES, Publishing

TestPublishing = Publishing.TestCase
TestPublishing.settings = settings(max_examples=400, stateful_step_count=15, deadline=None)


STARTS: dict[str, tuple[Step, ...]] = {
    "new": (Upload(SINGLES[0], b"cat"),),
    "answered": (Upload(SINGLES[0], b"cat"), Deliver(0), Upload(SINGLES[0], b"dog")),
    "removed": (Upload(SINGLES[0], b"cat"), Deliver(0), Remove(SINGLES[0])),
}
ALPHABET: tuple[Step, ...] = (
    Upload(SINGLES[0], b"cat"),
    Remove(SINGLES[0]),
    Deliver(-1),
    Promote("endpoint", 2),
    Die(),
)


@pytest.mark.parametrize("start", STARTS)
@pytest.mark.parametrize("call", range(1, 6))
def test_every_interruption_of_up_to_three_steps_ends_well(start: str, call: int) -> None:
    stories = [story for length in (1, 2, 3) for story in product(ALPHABET, repeat=length)]
    for story in stories:
        machine = Publishing()
        for step in STARTS[start]:
            machine.take(step)
        with machine.interrupted_by({call: story}):
            machine.take(Deliver(-1))
        machine.come_to_rest()
