"""Nothing lost, nothing stale: the product's doors under every accident a seed can think of."""

import io
import os
import time
from contextlib import redirect_stdout
from random import Random
from typing import Any

import pytest

from functions.runtime import logger
from tests.faults.checker import Expect, Verdict, check, check_report
from tests.faults.doors import FOLDER, INBOX, PAGE
from tests.faults.simulation import Simulation
from tests.faults.traffic import POISON, Size, plan
from tests.uploads import what_is_on

SMALL = Size(uploads=5_000, objects=1_500)
WHOLE = Size(uploads=100_000, objects=30_000)


@pytest.fixture(autouse=True)
def quiet() -> Any:
    """Every accident is logged with its traceback, which is most of the time it takes."""
    before = logger.log_level
    logger.setLevel("CRITICAL")
    yield
    logger.setLevel(before)


def simulate(seed: int, size: Size) -> tuple[Simulation, Verdict]:
    simulation = Simulation(seed, plan(Random(seed), size))
    with redirect_stdout(io.StringIO()):  # powertools prints every hundred values of a metric
        simulation.run()
    s3: Any = simulation.storage
    verdict = check(s3, "bucket", expectations(simulation), threads=1)
    for folder in simulation.folders():
        check_report(s3, "bucket", folder, verdict)
    return simulation, verdict


def expectations(simulation: Simulation) -> Expect:
    return Expect(_label, simulation.may_have_answered)


def _label(body: bytes) -> str | None:
    return None if body.startswith(b"junk") else what_is_on(body)


def assert_kept_its_word(seed: int, size: Size) -> None:
    began = time.monotonic()
    simulation, verdict = simulate(seed, size)
    seen = simulation.seen + simulation.weather.seen
    print(f"seed {seed}: {time.monotonic() - began:.0f} s, load {os.getloadavg()[0]:.1f}")
    print(f"{verdict.images} images, {verdict.rejected} rejected, {dict(seen)}")
    assert verdict.trouble() == {}
    assert verdict.images > 0.8 * size.objects
    assert sorted(simulation.queues[INBOX].dead) == sorted(_poison(size))
    assert simulation.queues[FOLDER].dead == simulation.queues[PAGE].dead == []
    assert simulation.collector_kills == 0
    assert set(simulation.states().values()) == {"finished"}
    assert seen["uploads"] >= size.uploads
    assert seen["messages"] >= 1.08 * (seen["uploads"])
    for point in ("before a write", "after a write", "at its end"):
        assert seen[f"killed {point}"] >= 0.008 * size.uploads, point
    assert seen["throttled"] >= 0.015 * size.uploads


def _poison(size: Size) -> list[str]:
    return [POISON[number % len(POISON)] for number in range(size.poison)]


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
