"""A process of a sweep may die before any of its calls; redelivery mends everything."""

import pytest

from functions.messages import Reclassify
from tests.support.worlds.folders import World
from tests.support.worlds.mortality import Death, calls_of, lived_through
from tests.support.worlds.sweeps import ALL, answered_long_ago, by, models, status


def story(death: Death) -> World:
    world = answered_long_ago(*ALL)
    world.send(Reclassify("", "renewal", confirmed=True))
    return lived_through(world, death, rounds=8)


@pytest.mark.parametrize("part", range(4))
def test_whichever_call_is_the_last_of_a_process_all_is_renewed_at_rest(part: int) -> None:
    total = calls_of(story)
    for at in range(part + 1, total + 1, 4):
        world = story(Death(at))
        assert models(world) == by(2, ALL), f"died at call {at}"
        assert world.open_runs() == [], f"died at call {at}"
        assert status(world)["state"] == "finished", f"died at call {at}"
        asked = [key for job in world.sagemaker.jobs for key in world.sagemaker.images(job)]
        assert sorted(asked) == ALL, f"died at call {at}: the model was asked twice"
