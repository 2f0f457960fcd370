"""A sweep finds answers whose image is gone, though no event told of it, and withdraws them."""

from dataclasses import replace

import pytest

from batch.context import Limits
from domain.keys import result_key
from domain.scope import Kind
from tests.support.worlds.folders import SMALL, World

KEPT = ("inbox/cat.jpg", "inbox/mouse.jpg", "inbox/trip/1.jpg", "inbox/trip/3.jpg")
GONE = ("inbox/ant.jpg", "inbox/dog.jpg", "inbox/trip/2.jpg", "inbox/zebra.jpg", "inbox/zoo/1.jpg")
LONG = "inbox/" + "x" * 1017
HOUR = 3_600


def world_with(keys: tuple[str, ...], gone: tuple[str, ...], bounds: Limits = SMALL) -> World:
    world = World(limits=bounds)
    world.fill(*keys, *gone)
    world.answer(*keys, *gone)
    world.s3.clock.tick(HOUR)
    for key in gone:
        world.remove(key)
    return world


def results(world: World) -> set[str]:
    return {key for key in world.s3.objects if key.startswith("outbox/") and "/_" not in key}


@pytest.mark.parametrize("kind", ["unanswered", "renewal"])
@pytest.mark.parametrize("rows", [2, 4, 100])
def test_answers_to_nothing_are_withdrawn_and_no_others(kind: Kind, rows: int) -> None:
    """In the middle, before all images and after them; of a slice of any size."""
    world = world_with((*KEPT, LONG), GONE, replace(SMALL, reclassify_rows=rows))
    world.sweep("", kind)
    for key in (*KEPT, LONG):
        assert result_key(key) in world.s3.objects, key
    for key in GONE:
        assert result_key(key) not in world.s3.objects, key
    assert world.open_runs() == []


def test_an_answer_under_a_hash_goes_too() -> None:
    world = world_with(KEPT, (LONG,))
    world.sweep("", "unanswered")
    assert result_key(LONG) not in world.s3.objects


@pytest.mark.parametrize("cost", [50, 200, 10_000])
def test_an_empty_inbox_has_no_answers_in_the_end(cost: int) -> None:
    gone = tuple(f"inbox/{number:03}.jpg" for number in range(60))
    world = world_with((), gone, replace(SMALL, walk_keys=cost, reclassify_rows=20))
    world.sweep("", "unanswered")
    assert results(world) == set()
    assert world.open_runs() == []


def test_a_folder_s_files_are_no_answers_and_its_table_forgets_what_is_gone() -> None:
    world = World()
    world.fill("inbox/trip/1.jpg", "inbox/trip/2.jpg")
    world.run("trip/")
    files = {key for key in world.s3.objects if key.startswith("outbox/trip/_")}
    world.s3.clock.tick(HOUR)
    world.remove("inbox/trip/2.jpg")
    world.sweep("", "unanswered")
    world.finish_jobs()
    assert files <= set(world.s3.objects)
    assert [row["image"] for row in world.table("trip/")] == ["inbox/trip/1.jpg"]


def test_a_fresh_answer_is_left_to_the_event_of_its_image() -> None:
    world = World()
    world.fill(*KEPT, *GONE)
    world.answer(*KEPT, *GONE)
    for key in GONE:
        world.remove(key)
    world.sweep("", "unanswered")
    assert all(result_key(key) in world.s3.objects for key in GONE)


def test_a_folder_s_own_run_looks_for_none() -> None:
    world = world_with(KEPT, GONE)
    world.run("trip/")
    assert result_key("inbox/trip/2.jpg") in world.s3.objects


@pytest.mark.parametrize("kind", ["unanswered", "renewal"])
def test_answers_that_outlive_their_images_are_left_alone(kind: Kind) -> None:
    """Images that have expired are no lost events; a sweep ends, and says nothing of them."""
    world = world_with(KEPT, GONE)
    world.settings = replace(world.settings, expired_answers="keep")
    before = results(world)
    world.sweep("", kind)
    assert results(world) == before
    assert world.open_runs() == []
