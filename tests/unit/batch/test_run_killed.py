"""A process of the folder road may die before any of its calls; redelivery mends everything."""

import pytest

from functions.messages import Start
from tests.support.worlds.folders import World
from tests.support.worlds.mortality import Death, calls_of, lived_through

KEYS = ("inbox/trip/1.jpg", "inbox/trip/a", "inbox/trip/a.jpg", "inbox/trip/junk", "inbox/trip//x")


def story(death: Death) -> World:
    world = World()
    world.fill(*KEYS[:3], KEYS[4])
    world.put(KEYS[3], b"junk")
    world.send(Start("trip/"))
    return lived_through(world, death, rounds=5)


@pytest.mark.parametrize("tenth", range(10))
def test_whichever_call_is_the_last_of_a_process_all_are_answered_at_rest(tenth: int) -> None:
    total = calls_of(story)
    for at in range(tenth + 1, total + 1, 10):
        world = story(Death(at))
        assert world.answered() == sorted(KEYS), f"died at call {at}"
        assert world.open_runs() == [], f"died at call {at}"
        assert world.status("trip/")["state"] == "finished", f"died at call {at}"
        summary = world.summary("trip/")
        assert (summary["classified"], summary["rejected"]) == (4, 1), f"died at call {at}"
        assert [row["image"] for row in world.table("trip/")] == sorted({*KEYS} - {KEYS[3]})
