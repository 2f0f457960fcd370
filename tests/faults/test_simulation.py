"""Nothing lost, nothing stale: the product's doors under every accident a seed can think of."""

import io
import os
import time
from collections import Counter
from contextlib import redirect_stdout
from random import Random
from typing import Any

import pytest

from functions.runtime import logger
from tests.faults.cloud.expected import (
    by_the_active_model,
    last_renewal,
    notices,
    states,
    untold,
    verdict_on,
)
from tests.faults.cloud.traffic import POISON, Ready, Reclassify, Size, plan
from tests.faults.simulation import checker, upkeep
from tests.faults.simulation.doors import BACKLOG, FOLDER, INBOX, PAGE, SETTINGS_OF_FOLDERS
from tests.faults.simulation.simulation import Simulation

SMALL = Size(uploads=5_000, objects=1_500)
WHOLE = Size(uploads=100_000, objects=30_000)
MOST_SWEEPS = 3
"""A sweep that leaves some images unanswered says so, and is asked for again."""


@pytest.fixture(autouse=True)
def quiet() -> Any:
    """Every accident is logged with its traceback, which is most of the time it takes."""
    before = logger.log_level
    logger.setLevel("CRITICAL")
    yield
    logger.setLevel(before)


def assert_kept_its_word(seed: int, size: Size) -> None:
    """Through the traffic with its sweeps; then through promotions, until all is up to date."""
    began, random = time.monotonic(), Random(seed)
    simulation = Simulation(seed, plan(random, size) + upkeep.during(size.seconds))
    with redirect_stdout(io.StringIO()):  # powertools prints every hundred values of a metric
        simulation.run()
    rested = time.monotonic() - began
    verdict = verdict_on(simulation)
    assert verdict.trouble() == {}
    assert verdict.images > 0.8 * size.objects
    assert_poison_alone_is_dead(simulation, size)
    assert_accidents_were_as_planned(simulation, size)
    assert set(states(simulation).values()) == {"finished"}
    assert simulation.jobs.most_at_once <= SETTINGS_OF_FOLDERS.transform_jobs

    with redirect_stdout(io.StringIO()):
        sweeps = bring_up_to_date(simulation, random)
    renewed = verdict_on(simulation, by_the_active_model(simulation))
    print(f"seed {seed}: {rested:.0f} and {time.monotonic() - began - rested:.0f} s,", end=" ")
    print(f"load {os.getloadavg()[0]:.1f}; {sweeps}")
    print(f"{verdict.images} images, {verdict.rejected} rejected, {_seen(simulation)}")
    assert renewed.trouble() == {}
    assert_told_of_the_end(simulation)
    assert renewed.images == verdict.images
    assert_poison_alone_is_dead(simulation, size)


def bring_up_to_date(simulation: Simulation, random: Random) -> str:
    """Returns how often it was asked for, and how the last one ended.

    Sweeps write no folder's table: whoever wants it to tell of what they answered says _READY.
    """
    inbox = (key for key in simulation.storage.objects if key.startswith("inbox/"))
    images = [key for key in inbox if checker.is_image(key)]
    simulation.go_on(upkeep.afterwards(random, images, simulation.latest + 1))
    asked = 1
    while last_renewal(simulation) != "finished" and asked < MOST_SWEEPS:
        simulation.go_on([(0, Reclassify())])
        asked += 1
    simulation.go_on([(0, Ready(f"inbox/{name}/_READY")) for name in states(simulation)])
    return f"asked {asked} times for the last renewal, which {last_renewal(simulation)}"


def assert_told_of_the_end(simulation: Simulation) -> None:
    """Twice only where an accident befell one call of some fifty: the mark that it was sent."""
    assert untold(simulation) == set()
    told = notices(simulation)
    assert len(simulation.events.details) - len(told) <= 1 + len(told) / 10


def assert_poison_alone_is_dead(simulation: Simulation, size: Size) -> None:
    poison = [POISON[number % len(POISON)] for number in range(size.poison)]
    assert sorted(simulation.queues[INBOX].dead) == sorted(poison)
    assert all(simulation.queues[url].dead == [] for url in (BACKLOG, FOLDER, PAGE))


def assert_accidents_were_as_planned(simulation: Simulation, size: Size) -> None:
    seen = _seen(simulation)
    assert simulation.collector_kills == 0
    assert simulation.queues[BACKLOG].sent > size.uploads / 50
    assert seen["uploads"] >= size.uploads
    assert seen["messages"] >= 1.08 * (seen["uploads"])
    for point in ("before a write", "after a write", "at its end"):
        assert seen[f"killed {point}"] >= 0.008 * size.uploads, point
    assert seen["throttled"] >= 0.015 * size.uploads


def _seen(simulation: Simulation) -> Counter[str]:
    return simulation.seen + simulation.weather.seen


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_five_thousand_uploads_end_with_their_own_answers(seed: int) -> None:
    assert_kept_its_word(seed, SMALL)


@pytest.mark.faults
def test_a_hundred_thousand_uploads_end_with_their_own_answers() -> None:
    assert_kept_its_word(1, WHOLE)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(1, 21))
def test_a_hundred_thousand_uploads_end_well_whatever_the_seed(seed: int) -> None:
    assert_kept_its_word(seed, WHOLE)
