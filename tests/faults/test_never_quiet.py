"""A folder that never falls quiet: its runs are few, and nobody waits longer than is promised."""

import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from random import Random
from typing import Any

import pytest

from batch.context import Limits
from domain.keys import RUNS, result_key, run_of
from functions.runtime import logger
from tests.faults.cloud.expected import verdict_on
from tests.faults.cloud.traffic import Upload
from tests.faults.simulation.doors import FOLDER
from tests.faults.simulation.lineage import MOST_LINKS, Lineage
from tests.faults.simulation.simulation import EPOCH, SWEEP_SECONDS, VISIBILITY, Simulation
from tests.faults.simulation.weather import Climate
from tests.support.builders.packaged import of_type, packaged
from tests.support.worlds.folders import ON_FOLDER

EVERY_SECONDS = 50.0
A_DAY = 1_728
LATE_SECONDS = 120.0
"""Of an event; the simulation makes one in twenty late."""

WAIT = ON_FOLDER.folder_longest_wait_seconds
JOB = 600.0 + SWEEP_SECONDS
"""The longest job of the simulation, and the clock, where the event of its end was lost."""

BOUND = WAIT + 2 * ON_FOLDER.folder_quiet_seconds + 2 * Limits().attempts * JOB
"""The longest wait, and a timer that looks. Who comes just after a run has listed waits for all of
its attempts, and then for those of its own run; here each may be a job, by more than 20 images."""


@pytest.fixture(autouse=True)
def quiet() -> Any:
    before = logger.log_level
    logger.setLevel("CRITICAL")
    yield
    logger.setLevel(before)


def life(
    seed: int, climate: Climate, images: int, allowed: frozenset[str] | None = None
) -> Simulation:
    random = Random(seed)
    plan = [
        (number * EVERY_SECONDS, Upload(f"inbox/f/{number:05}.jpg", random.randbytes(8)))
        for number in range(images)
    ]
    simulation = Simulation(seed, [*plan], climate)
    if allowed is not None:
        simulation.lineage.allowed = allowed
    with redirect_stdout(io.StringIO()):
        simulation.run()
    return simulation


def waits(simulation: Simulation) -> list[float]:
    """Seconds from each image to its answer, in order."""
    objects, seen = simulation.storage.objects, simulation.storage.first_seen
    answered = {
        (key, each.version_id): objects[result_key(key)].last_modified - EPOCH
        for key, each in objects.items()
        if key.startswith("inbox/")
    }
    return sorted(at.total_seconds() - seen[version] for version, at in answered.items())


def runs(simulation: Simulation) -> int:
    found = {run_of(key) for key in simulation.storage.objects if key.startswith(RUNS)}
    return len(found)


def assert_answered_all_along(images: int) -> None:
    simulation = life(1, Climate(throttled=0, killed=0, meddled=0), images)
    assert verdict_on(simulation).trouble() == {}
    told, seconds = waits(simulation), images * EVERY_SECONDS
    assert len(told) == images
    half, most, longest = told[images // 2], told[int(0.95 * images)], told[-1]
    print(f"{runs(simulation)} runs; half of the images within {half:.0f} s,", end=" ")
    print(f"95 % within {most:.0f} s, all within {longest:.0f} s")
    assert longest <= BOUND, "the folder waits for a quiet time that does not come"
    most_runs = 2 * seconds / WAIT  # one that was called while it was open is followed at once
    assert seconds / BOUND <= runs(simulation) <= most_runs, "each costs listings and a report"


def test_an_image_every_fifty_seconds_for_six_hours_is_answered_all_along() -> None:
    assert_answered_all_along(A_DAY // 4)


def detected() -> frozenset[str]:
    """The functions that Lambda's recursion detection does not stop, by the template."""
    functions = of_type(packaged("dev"), "AWS::Lambda::Function")
    allowed = {name for name, each in functions.items() if each.get("RecursiveLoop") == "Allow"}
    return frozenset(name[0].lower() + name[1:].removesuffix("LambdaFunction") for name in allowed)


def test_lambda_cuts_no_chain_of_a_folder_that_is_fed_all_the_time() -> None:
    simulation = life(1, Climate(throttled=0, killed=0, meddled=0), A_DAY // 16, detected())
    assert simulation.lineage.longest.keys() == {"onUpload", "onFolder", "onPage"}
    assert simulation.lineage.cut == 0
    assert simulation.lineage.longest["onUpload"] < MOST_LINKS / 2, "it is stopped at 16"


@pytest.mark.parametrize("is_allowed", [True, False])
def test_a_chain_of_more_than_sixteen_is_cut_unless_the_function_allows_it(
    is_allowed: bool,
) -> None:
    lineage = Lineage(frozenset({"onFolder"} if is_allowed else set()))
    chain: Mapping[str, int] = {}
    for _ in range(MOST_LINKS):
        assert not lineage.is_cut(FOLDER, chain)
        with lineage.link(FOLDER, chain):
            chain = lineage.current
    assert lineage.is_cut(FOLDER, chain) is not is_allowed
    assert not lineage.is_cut(FOLDER, lineage.current), "what comes from outside begins anew"


@pytest.mark.faults
def test_an_image_every_fifty_seconds_for_a_day_is_answered_all_day() -> None:
    assert_answered_all_along(A_DAY)


def test_under_every_accident_too_and_nothing_is_lost() -> None:
    simulation = life(2, Climate(), A_DAY // 4)
    assert verdict_on(simulation).trouble() == {}
    told = waits(simulation)
    print(f"{runs(simulation)} runs, all within {told[-1]:.0f} s")
    assert told[-1] <= BOUND + LATE_SECONDS + VISIBILITY[FOLDER], (
        "what a process held that died comes again after six timeouts"
    )
