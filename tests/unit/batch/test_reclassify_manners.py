"""A sweep stands in no one's way, can be stopped, and asks before it becomes large."""

from dataclasses import replace
from typing import Any

import pytest

from aws.bucket import Bucket
from batch import claim
from domain.keys import SWEEPS
from domain.scope import RECLASSIFICATION, Kind
from tests.support.worlds.folders import World, with_late
from tests.support.worlds.sweeps import ALL, SINGLES, TRIP, answered_long_ago, by, models, status


@pytest.fixture
def world() -> World:
    return answered_long_ago(*ALL)


def test_no_slice_is_planned_while_a_folder_is_at_work_and_the_next_one_when_it_ends(
    world: World,
) -> None:
    world.sweep()
    (first,) = world.sagemaker.running()
    world.fill("inbox/fresh/1.jpg")
    world.start("fresh/")
    world.sagemaker.end(first)
    world.changed(first)
    assert [job.slug for job in world.jobs()] == ["renewal", "fresh"]
    assert status(world)["state"] == "waiting for folders"

    (fresh,) = world.sagemaker.running()
    world.sagemaker.end(fresh)
    world.changed(fresh)
    assert [job.slug for job in world.jobs()] == ["renewal", "fresh", "renewal"]


@pytest.mark.parametrize("kind", ["unanswered", "renewal"])
def test_images_whose_folder_has_a_live_run_are_left_to_it(kind: Kind) -> None:
    world = World(settings=with_late(0))
    world.fill(*TRIP[:3])
    world.start("trip/")
    world.fill("inbox/alone.jpg")
    world.s3.clock.tick(3600)
    world.sweep(kind=kind)
    folder, sweep = world.sagemaker.jobs
    assert world.sagemaker.images(folder) == TRIP[:3]
    assert world.sagemaker.images(sweep) == ["inbox/alone.jpg"], (
        "The folder's own run answers its images: asked by a sweep as well, each is paid for twice."
    )
    world.finish_jobs()
    assert world.answered() == ["inbox/alone.jpg", *TRIP[:3]]


def test_after_an_hour_a_slice_comes_in_between(world: World) -> None:
    world.sweep()
    (first,) = world.sagemaker.running()
    world.fill("inbox/fresh/1.jpg")
    world.start("fresh/")
    world.sagemaker.end(first)
    world.changed(first)
    world.s3.clock.tick(3700)
    world.tick()
    assert [job.slug for job in world.jobs()] == ["renewal", "fresh", "renewal"]


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_as_many_jobs_run_at_once_as_the_setting_says(jobs: int) -> None:
    world = World(settings=replace(with_late(0), reclassify_jobs=jobs))
    keys = [f"inbox/trip/{number:02}.jpg" for number in range(40)]
    world.fill(*keys)
    world.answer(*keys)
    world.promote(2)
    world.sweep()
    most = 0
    while running := world.sagemaker.running():
        most = max(most, len(running))
        world.sagemaker.end(running[-1])
        world.changed(running[-1])
    assert most == jobs
    assert models(world) == by(2, keys)
    assert world.open_runs() == []


def test_without_capacity_a_sweep_waits_for_it(world: World) -> None:
    world.sagemaker.capacity = 0
    world.sweep()
    assert status(world)["state"] == "waiting for capacity"
    world.sagemaker.capacity = 1
    world.tick()
    world.finish_jobs()
    assert models(world) == by(2, ALL)


def test_a_sweep_asked_for_twice_is_one_sweep(world: World) -> None:
    world.sweep()
    world.sweep()
    world.sweep("trip/")
    assert len(world.open_runs()) == 1
    world.finish_jobs()
    told = [key for key in world.s3.objects if key.startswith(SWEEPS)]
    assert len([key for key in told if key.endswith("_status.json")]) == 1


def test_what_the_live_sweep_does_not_cover_follows_it(world: World) -> None:
    world.sweep("trip/day 1/")
    world.sweep("1")
    world.sweep("trip/")
    world.sweep("trip/1.jpg")
    assert len(world.open_runs()) == 1
    world.finish_jobs()
    assert models(world) == by(2, ALL) | by(1, [SINGLES[0], SINGLES[2]])
    assert world.open_runs() == []


def test_of_many_that_wait_a_sweep_of_everything_comes_in_place(world: World) -> None:
    world.sweep("trip/day 1/")
    for number in range(claim.MOST_QUEUED + 1):
        world.sweep(f"nothing {number:02}/")
    world.finish_jobs()
    assert models(world) == by(2, ALL)


def test_a_sweep_is_stopped_after_what_runs_and_resumed(world: World) -> None:
    world.sweep()
    s3: Any = world.s3
    claim.change(Bucket(s3, "bucket"), RECLASSIFICATION, lambda run: replace(run, paused=True))
    world.finish_jobs()
    world.tick()
    assert len(world.sagemaker.jobs) == 1
    assert status(world)["state"] == "stopped"
    world.sweep(confirmed=False)
    assert world.sagemaker.running() == [], "a schedule resumes nothing"

    world.sweep()
    world.finish_jobs()
    assert models(world) == by(2, ALL)


def test_a_person_who_asks_for_more_resumes_what_was_stopped(world: World) -> None:
    """Else what was stopped would hold up what was asked for until it is named itself."""
    world.sweep("trip/", confirmed=False)
    s3: Any = world.s3
    claim.change(Bucket(s3, "bucket"), RECLASSIFICATION, lambda run: replace(run, paused=True))
    world.finish_jobs()
    world.sweep(confirmed=True)
    world.finish_jobs()
    assert models(world) == by(2, ALL)


@pytest.mark.parametrize("again", [[True], [False, True], [True, False]])
def test_what_was_confirmed_while_another_sweep_was_live_stays_confirmed(
    again: list[bool], world: World
) -> None:
    world.settings = replace(world.settings, reclassify_ask_above=4)
    world.sweep("trip/day 1/", confirmed=False)
    for confirmed in again:
        world.sweep(confirmed=confirmed)
    world.finish_jobs()
    assert models(world) == by(2, ALL)


def test_beyond_a_limit_a_sweep_waits_for_somebody_to_confirm_it(world: World) -> None:
    world.settings = replace(world.settings, reclassify_ask_above=4)
    world.sweep(confirmed=False)
    world.finish_jobs()
    assert len(world.sagemaker.jobs) == 1
    assert status(world)["state"] == "waiting for confirmation"

    world.sweep(confirmed=True)
    world.finish_jobs()
    assert models(world) == by(2, ALL)


def test_an_empty_inbox_is_swept_in_no_time() -> None:
    world = World()
    world.sweep()
    assert world.sagemaker.jobs == {}
    assert world.open_runs() == []
    assert status(world)["state"] == "finished"


def test_progress_is_told_while_it_goes_on(world: World) -> None:
    world.sweep()
    (first,) = world.sagemaker.running()
    world.s3.clock.tick(60)
    world.sagemaker.end(first)
    world.changed(first)
    world.s3.clock.tick(60)
    world.tick()
    told = status(world)
    assert told["state"] == "running"
    assert told["kind"] == "renewal"
    assert told["progress"]["planned"] == 10
    assert told["progress"]["answered"] == 5
    assert told["progress"]["jobs_running"] == 1
    assert told["progress"]["all_planned"] is False
    assert told["progress"]["rate"] == pytest.approx(5 / 120, abs=0.01)
