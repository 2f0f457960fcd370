"""The tables of the folders that a sweep went through follow it."""

import json
from dataclasses import replace

import pytest

from domain.keys import RECLASSIFIED
from tests.support.worlds.folders import SMALL, World, with_late
from tests.support.worlds.sweeps import DEEP, SINGLES, TRIP
from tests.support.worlds.uploads import model

CAMP = [f"inbox/camp/{number}.jpg" for number in range(3)]


@pytest.fixture
def world() -> World:
    """Two folders with their tables, and singles, all by the first model; the second is active."""
    world = World(settings=with_late(0))
    world.fill(*SINGLES, *TRIP, *DEEP, *CAMP)
    world.answer(*SINGLES)
    world.put("inbox/trip/z.jpg", b"junk")
    world.run("trip/")
    world.run("camp/")
    world.s3.clock.tick(3600)
    world.promote(2)
    return world


def swept(world: World, path: str = "") -> None:
    world.sweep(path)
    world.finish_jobs()
    assert world.open_runs() == []


def table_models(world: World, folder: str) -> set[str]:
    return {row["model"] for row in world.table(folder)}


def as_answered(world: World, folder: str) -> list[tuple[str, str, str]]:
    """Image, ETag and first label of each answer, from the answers themselves."""
    results = [
        world.read_json(f"outbox{key.removeprefix('inbox')}.json") for key in world.images(folder)
    ]
    return [
        (each["image"], each["source"]["etag"], each["labels"][0]["label"])
        for each in results
        if each["status"] == "classified"
    ]


def as_told(world: World, folder: str) -> list[tuple[str, str, str]]:
    return [(row["image"], row["etag"], row["label"]) for row in world.table(folder)]


def test_every_folders_table_tells_what_the_active_model_said(world: World) -> None:
    jobs = len(world.sagemaker.jobs)
    swept(world)
    for folder in ("trip/", "camp/"):
        assert table_models(world, folder) == {str(model(2))}
        assert as_told(world, folder) == as_answered(world, folder)
        assert world.status(folder)["state"] == "finished"
    (line,) = world.file("trip/", "errors.jsonl").splitlines()
    assert json.loads(line)["model"] == str(model(2))
    names = [job.slug for job in world.jobs()[jobs:]]
    assert set(names) == {"renewal"}, "nothing is classified again for a table"


def test_a_folder_beside_the_sweeps_prefix_is_not_looked_at(world: World) -> None:
    before = world.file("camp/", "predictions.csv")
    swept(world, "trip/")
    assert table_models(world, "trip/") == {str(model(2))}
    assert world.file("camp/", "predictions.csv") == before


def test_the_last_of_several_sweeps_counts(world: World) -> None:
    swept(world)
    world.s3.clock.tick(60)
    world.promote(1)
    swept(world)
    assert table_models(world, "trip/") == {str(model(1))}


def test_an_image_that_changed_since_has_its_own_answer(world: World) -> None:
    swept(world)
    world.s3.clock.tick(60)
    world.put(TRIP[0], b"another")
    world.run("trip/")
    assert as_told(world, "trip/") == as_answered(world, "trip/")


def test_images_that_no_event_told_of_come_into_the_table(world: World) -> None:
    world.fill("inbox/camp/lost.jpg", "inbox/new/1.jpg")
    world.s3.clock.tick(3600)
    world.sweep(kind="unanswered")
    world.finish_jobs()
    assert world.open_runs() == []
    assert "inbox/camp/lost.jpg" in [row["image"] for row in world.table("camp/")]
    assert [row["image"] for row in world.table("new/")] == ["inbox/new/1.jpg"]


def test_a_folder_of_many_answers_is_laid_out_in_parts(world: World) -> None:
    world.limits = replace(SMALL, table_lines=2)
    swept(world)
    assert len([key for key in world.s3.objects if key.startswith(f"{RECLASSIFIED}trip")]) == 5
    assert as_told(world, "trip/") == as_answered(world, "trip/")


def test_a_shallow_folder_around_a_deep_one_is_told_whole(world: World) -> None:
    world.settings = replace(world.settings, folder_depth=2)
    world.run("trip/")
    world.run("trip/day 1/")
    world.s3.clock.tick(60)
    world.promote(1)
    swept(world)
    for folder in ("trip/", "trip/day 1/"):
        assert table_models(world, folder) == {str(model(1))}


def test_only_so_many_tables_follow_one_sweep(world: World) -> None:
    world.limits = replace(SMALL, table_folders=1)
    swept(world)
    assert [table_models(world, each) for each in ("camp/", "trip/")] == [
        {str(model(2))},
        {str(model(1))},
    ]


def test_only_the_latest_sweeps_are_read(world: World) -> None:
    world.limits = replace(SMALL, table_reclassifications=1)
    read: set[str] = set()

    def note(operation: str, key: str) -> None:
        if operation == "GetObject" and key.startswith(f"{RECLASSIFIED}trip"):
            read.add(key)

    for number in (2, 1, 2):
        world.s3.clock.tick(60)
        world.promote(number)
        read.clear()
        world.s3.hook = note
        swept(world)
    assert len([key for key in world.s3.objects if key.startswith(f"{RECLASSIFIED}trip")]) == 3
    assert len(read) == 1
    assert table_models(world, "trip/") == {str(model(2))}
