"""One process at a time takes a step of a run; who comes meanwhile is not forgotten."""

from threading import Event

import pytest

from batch import lease
from domain.keys import lease_key
from domain.scope import Scope
from functions.messages import Advance, Start
from tests.support.worlds.folders import World, record

TOKEN = Scope("trip/").token
KEY = lease_key(TOKEN)
PATIENCE_SECONDS = 30


@pytest.fixture
def world() -> World:
    world = World()
    world.fill("inbox/trip/1.jpg")
    return world


def test_one_takes_it_and_gives_it_back(world: World) -> None:
    holder = lease.acquire(world.cloud, TOKEN)
    assert holder
    assert not lease.release(world.cloud, TOKEN, holder), "nobody came meanwhile"
    assert KEY not in world.s3.objects


def test_another_leaves_word_once_however_often_it_comes(world: World) -> None:
    holder = lease.acquire(world.cloud, TOKEN)
    assert holder
    assert [lease.acquire(world.cloud, TOKEN) for _ in range(2)] == [None, None]
    writes = world.s3.calls["PutObject"]
    assert lease.acquire(world.cloud, TOKEN) is None
    assert world.s3.calls["PutObject"] == writes, "a thousand pages leave word a thousand times"
    assert lease.release(world.cloud, TOKEN, holder)


def test_a_dead_holders_lease_ends_and_its_ghost_gives_nothing_back(world: World) -> None:
    ghost = lease.acquire(world.cloud, TOKEN)
    assert ghost
    world.s3.clock.tick(lease.LEASE_SECONDS - 1)
    assert lease.acquire(world.cloud, TOKEN) is None
    world.s3.clock.tick(2)
    holder = lease.acquire(world.cloud, TOKEN)
    assert holder
    assert not lease.release(world.cloud, TOKEN, ghost)
    assert KEY in world.s3.objects, "it is another's now"
    assert not lease.release(world.cloud, TOKEN, holder)


def test_word_that_is_left_while_it_is_given_back_is_found(world: World) -> None:
    holder = lease.acquire(world.cloud, TOKEN)
    assert holder

    def come(operation: str, key: str) -> None:
        if operation == "DeleteObject":
            world.s3.hook = lambda *_: None
            assert lease.acquire(world.cloud, TOKEN) is None

    world.s3.hook = come
    assert lease.release(world.cloud, TOKEN, holder)
    assert KEY not in world.s3.objects


def test_two_that_take_it_at_once_are_one(world: World) -> None:
    rival: list[str | None] = []

    def come(operation: str, key: str) -> None:
        if operation == "PutObject":
            world.s3.hook = lambda *_: None
            rival.append(lease.acquire(world.cloud, TOKEN))

    world.s3.hook = come
    assert lease.acquire(world.cloud, TOKEN) is None
    assert rival[0]


def test_a_long_step_keeps_its_lease(world: World) -> None:
    holder = lease.acquire(world.cloud, TOKEN)
    assert holder
    renewals, changed = 0, Event()

    def count(operation: str, key: str) -> None:
        nonlocal renewals
        if operation == "PutObject":
            renewals += 1
            changed.set()

    world.s3.hook = count
    with lease.keep_renewed(world.cloud, TOKEN, holder, interval_seconds=0.01):
        for _ in range(4):
            assert changed.wait(PATIENCE_SECONDS), "the lease ends while its holder works"
            changed.clear()
            world.s3.clock.tick(lease.LEASE_SECONDS / 2)
    assert renewals >= 4
    assert lease.acquire(world.cloud, TOKEN) is None
    assert lease.release(world.cloud, TOKEN, holder)


def test_of_two_steps_at_once_one_is_taken_and_then_the_other(world: World) -> None:
    """While the first plans, the second's message is delivered and done with."""
    plans: list[str] = []

    def come(operation: str, key: str) -> None:
        if operation == "PutObject" and "/slices/" in key and not plans:
            plans.append(key)
            world.folders().accept(record('{"start": {"path": "trip/"}}'))

    world.s3.hook = come
    world.start("trip/")
    world.s3.hook = lambda *_: None
    wrote = [key for key in world.s3.objects if "/plans/" in key]
    assert len({key.split("/plans/")[1].split("/")[0] for key in wrote}) == 1, (
        "two processes planned the same slice"
    )
    assert KEY not in world.s3.objects
    world.finish_jobs()
    assert world.answered() == ["inbox/trip/1.jpg"]
    assert world.open_runs() == []


def test_word_that_was_left_is_acted_upon(world: World) -> None:
    """The job ends while another process looks at it; the event that tells so finds it held."""
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    told: list[str] = []

    def end(operation: str, key: str) -> None:
        if operation == "DeleteObject" and key == KEY and not told:
            told.append(key)
            world.s3.hook = lambda *_: None
            world.sagemaker.end(job)
            world.folders().accept(record(f'{{"advance": {{"token": "{TOKEN}"}}}}'))

    world.s3.hook = end
    world.send(Advance(TOKEN))
    world.drain()
    assert told
    assert world.answered() == ["inbox/trip/1.jpg"]
    assert world.open_runs() == []


def test_trouble_in_a_step_gives_the_lease_back(world: World) -> None:
    def refuse(operation: str, key: str) -> None:
        if "/slices/" in key:
            raise OSError("no network")

    world.s3.hook = refuse
    world.send(Start("trip/"))
    with pytest.raises(OSError, match="no network"):
        world.drain()
    assert KEY not in world.s3.objects, "the message that comes again would find it held"
