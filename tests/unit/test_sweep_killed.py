"""A process of a sweep may die before any of its calls; redelivery mends everything."""

from functools import partial

import pytest

from functions.messages import Sweep
from tests.fakes import no_hook
from tests.folders import World
from tests.mortality import Death, MortalQueues, mortal
from tests.sweeps import ALL, answered_long_ago, by, models, status


def story(death: Death) -> World:
    """Every call to S3 and to a queue, and every job that is created, may be the last."""
    world = answered_long_ago(*ALL)
    world.send(Sweep("", "renewal", confirmed=True))
    world.sqs = MortalQueues(world.sqs.sent, death=death)
    world.s3.hook = death
    world.sagemaker.meanwhile = death
    mortal(death, world.drain, world)
    for _ in range(8):
        for name in world.sagemaker.running():
            world.s3.hook = no_hook
            world.sagemaker.end(name)
            world.s3.hook = death
            mortal(death, partial(world.changed, name), world)
    world.s3.hook = no_hook
    world.tick()
    return world


def calls_of_a_whole_sweep() -> int:
    death = Death(at=0)
    story(death)
    return death.calls


@pytest.mark.parametrize("part", range(4))
def test_whichever_call_is_the_last_of_a_process_all_is_renewed_at_rest(part: int) -> None:
    total = calls_of_a_whole_sweep()
    assert total > 100
    for at in range(part + 1, total + 1, 4):
        world = story(Death(at))
        assert models(world) == by(2, ALL), f"died at call {at}"
        assert world.open_runs() == [], f"died at call {at}"
        assert status(world)["state"] == "finished", f"died at call {at}"
        asked = [key for job in world.sagemaker.jobs for key in world.sagemaker.images(job)]
        assert sorted(asked) == ALL, f"died at call {at}: the model was asked twice"
