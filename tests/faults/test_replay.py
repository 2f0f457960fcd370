"""A history that fails is kept, can be read again, and is played in the deployed cloud."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local import cloud as local
from tests.faults.cloud.deployed import Deployed
from tests.faults.cloud.replay import VARIABLE, Replay
from tests.flow.support.drive import Cloud
from tests.support.worlds.acts import (
    Collect,
    Deliver,
    Die,
    History,
    Remove,
    Repeat,
    Rest,
    Transform,
    Upload,
    from_json,
    to_json,
)
from tests.support.worlds.publishing import IN_FOLDER, SINGLES, Publishing, meanwhiles, steps

SINGLE, PAGED = SINGLES[0], IN_FOLDER[0]

EXAMPLE: History = (
    (Upload(SINGLE, b"cat"), {}),
    (Repeat(0), {}),
    (Deliver(0), {3: (Upload(SINGLE, b"dog"), Deliver(-1))}),
    (Deliver(0), {2: (Die(),)}),
    (Rest(), {}),
    (Upload(PAGED, b"cat"), {}),
    (Transform(PAGED), {}),
    (Collect(0), {3: (Upload(PAGED, b"junk"),)}),
    (Upload(SINGLE, b"cat"), {}),
    (Deliver(0), {4: (Remove(SINGLE),)}),
)
"""What is overwritten, removed or killed between two calls."""


@given(st.lists(st.tuples(steps.map(lambda drawn: drawn[0]), meanwhiles)))
def test_what_is_written_of_a_history_is_read_again(told: list[tuple]) -> None:  # type: ignore[type-arg]
    assert from_json(to_json(tuple(told))) == tuple(told)


def test_a_history_that_fails_is_kept_with_the_way_to_play_it(tmp_path: Path) -> None:
    machine = Publishing()
    machine.failures = tmp_path
    machine.play(Upload(SINGLE, b"cat"))
    machine.world.put(f"outbox/{SINGLE}", b"")  # never to be found
    machine.messages.clear()
    with pytest.raises(AssertionError, match="has no answer") as failed:
        machine.play(Rest())
    kept = from_json((tmp_path / "publishing.json").read_text())
    assert kept == ((Upload(SINGLE, b"cat"), {}), (Rest(), {}))
    assert "tests.faults.cloud.replay" in failed.value.__notes__[0]


def test_the_example_ends_well_in_memory() -> None:
    machine = Publishing()
    for step, meanwhile in EXAMPLE:
        machine.play(step, meanwhile)
    machine.teardown()


@pytest.mark.faults
def test_a_history_is_played_in_the_cloud(cloud: Cloud, running: local.LocalCloud) -> None:
    told = os.environ.get(VARIABLE)
    history = from_json(Path(told).read_text()) if told else EXAMPLE
    deployed = Deployed(cloud, running)
    replay = Replay(deployed)
    replay.play(history)
    print(f"played {', '.join(replay.played)}")
    assert deployed.verdict().trouble() == {}
    assert deployed.dead() == 0
    if not told:
        assert {"Die", "Remove"} <= set(replay.played)
