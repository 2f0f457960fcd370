"""A process of the folder road may die before any of its calls; redelivery mends everything."""

from functools import partial

import pytest

from functions.messages import Start
from tests.fakes import no_hook
from tests.folders import World
from tests.mortality import Death, MortalQueues, mortal

KEYS = ("inbox/trip/1.jpg", "inbox/trip/a", "inbox/trip/a.jpg", "inbox/trip/junk", "inbox/trip//x")


def story(death: Death) -> World:
    """Every call to S3 and to a queue, and every job that is created, may be the last."""
    world = World()
    world.fill(*KEYS[:3], KEYS[4])
    world.put(KEYS[3], b"junk")
    world.send(Start("trip/"))
    world.sqs = MortalQueues(world.sqs.sent, death=death)
    world.s3.hook = death
    world.sagemaker.meanwhile = death
    mortal(death, world.drain, world)
    for _ in range(5):
        for name in world.sagemaker.running():
            world.s3.hook = no_hook
            world.sagemaker.end(name)
            world.s3.hook = death
            mortal(death, partial(world.changed, name), world)
    world.s3.hook = no_hook
    world.tick()
    return world


def calls_of_a_whole_run() -> int:
    death = Death(at=0)
    story(death)
    return death.calls


@pytest.mark.parametrize("tenth", range(10))
def test_whichever_call_is_the_last_of_a_process_all_are_answered_at_rest(tenth: int) -> None:
    total = calls_of_a_whole_run()
    assert total > 100
    for at in range(tenth + 1, total + 1, 10):
        world = story(Death(at))
        assert world.answered() == sorted(KEYS), f"died at call {at}"
        assert world.open_runs() == [], f"died at call {at}"
        assert world.status("trip/")["state"] == "finished", f"died at call {at}"
        summary = world.summary("trip/")
        assert (summary["classified"], summary["rejected"]) == (4, 1), f"died at call {at}"
        assert [row["image"] for row in world.table("trip/")] == sorted({*KEYS} - {KEYS[3]})
