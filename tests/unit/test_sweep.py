"""Sweeps: everything below a prefix is brought up to date, and no one's way is stood in."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from batch import claim
from batch.bucket import Bucket
from domain.keys import SWEEPS, claim_key, result_key
from domain.result import MODEL_ID
from domain.scope import SWEEP, Scope
from functions.messages import Start
from tests.folders import SMALL, World, with_late
from tests.uploads import model

SINGLES = [f"inbox/{number}.jpg" for number in range(3)]
TRIP = [f"inbox/trip/{number}.jpg" for number in range(6)]
DEEP = [f"inbox/trip/day 1/{number}.jpg" for number in range(3)]
ALL = sorted(SINGLES + TRIP + DEEP)


@pytest.fixture
def world() -> World:
    """Everything is answered by the first model, long ago; the second is active."""
    world = World(settings=with_late(0))
    world.fill(*ALL)
    world.answer(*ALL)
    world.s3.clock.tick(3600)
    world.promote(2)
    return world


def models(world: World) -> dict[str, str]:
    return {key: world.s3.objects[result_key(key)].metadata[MODEL_ID] for key in world.images()}


def by(number: int, keys: list[str]) -> dict[str, str]:
    return {key: str(model(number)) for key in keys}


def status(world: World) -> dict[str, Any]:
    """The last sweep's."""
    told = [key for key in world.s3.objects if key.startswith(SWEEPS) and "_status" in key]
    return world.told(sorted(told)[-1])


def test_singles_and_folders_are_all_answered_by_the_active_model(world: World) -> None:
    world.sweep()
    world.finish_jobs()

    assert models(world) == by(2, ALL)
    assert world.answered() == ALL
    assert world.open_runs() == []
    assert status(world)["state"] == "finished"
    assert [job.slug for job in world.jobs()] == ["renewal"] * 3


@pytest.mark.parametrize(
    ("prefix", "renewed"),
    [("trip/", TRIP + DEEP), ("trip/day 1/", DEEP), ("trip/1", TRIP[1:2]), ("nothing/", [])],
)
def test_a_prefix_is_swept_and_nothing_beside_it(
    world: World, prefix: str, renewed: list[str]
) -> None:
    world.sweep(prefix)
    world.finish_jobs()
    assert {key for key, each in models(world).items() if each == str(model(2))} == set(renewed)
    assert world.open_runs() == []


def test_an_image_is_asked_of_the_model_once_only(world: World) -> None:
    world.sweep()
    world.finish_jobs()
    world.sweep()
    world.finish_jobs()
    asked = [key for job in world.sagemaker.jobs for key in world.sagemaker.images(job)]
    assert sorted(asked) == ALL
    assert world.endpoint.asked == []


def test_rolling_back_is_a_change_of_models_too(world: World) -> None:
    world.sweep()
    world.finish_jobs()
    world.promote(1)
    world.sweep()
    world.finish_jobs()
    assert models(world) == by(1, ALL)


def test_a_model_promoted_meanwhile_finishes_the_sweep(world: World) -> None:
    world.sweep()
    world.promote(3)
    world.finish_jobs()
    assert models(world) == by(3, ALL)
    assert world.open_runs() == []


def test_a_model_promoted_as_the_sweep_ends_has_it_begin_again(world: World) -> None:
    """The last attempt found nothing to do, by the model before."""

    def promoted(operation: str, key: str) -> None:
        if operation == "PutObject" and "/slices/2/" in key:
            world.s3.hook = lambda operation, key: None
            world.promote(3)

    world.s3.hook = promoted
    world.sweep()
    world.finish_jobs()
    assert models(world) == by(3, ALL)
    assert world.open_runs() == []


def test_the_unanswered_are_found_and_other_models_answers_left_alone(world: World) -> None:
    lost = [TRIP[2], SINGLES[1]]
    for key in lost:
        world.remove(result_key(key))
    world.sweep(kind="unanswered")
    world.finish_jobs()
    assert models(world) == by(1, ALL) | by(2, lost)


def test_what_was_just_uploaded_is_left_to_its_event(world: World) -> None:
    world.fill("inbox/new.jpg", "inbox/trip/new.jpg")
    world.sweep()
    world.finish_jobs()
    assert world.answered() == ALL


def test_what_a_live_folder_has_not_answered_yet_is_left_to_it(world: World) -> None:
    world.fill("inbox/other/late.jpg", "inbox/trip/late.jpg")
    world.s3.clock.tick(3600)
    world.start("trip/")
    (fresh,) = world.sagemaker.running()
    world.sweep()
    swept = [key for job in world.sagemaker.running() if job != fresh for key in images(world, job)]
    assert "inbox/other/late.jpg" in swept
    assert images(world, fresh) == ["inbox/trip/late.jpg"]
    world.finish_jobs()
    assert models(world) == by(2, [*ALL, "inbox/other/late.jpg", "inbox/trip/late.jpg"])


def images(world: World, job: str) -> list[str]:
    return world.sagemaker.images(job)


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
    assert len([key for key in world.s3.objects if key.endswith("_status.json")]) == 1


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
    for number in range(claim.MOST_WAITING + 1):
        world.sweep(f"nothing {number:02}/")
    world.finish_jobs()
    assert models(world) == by(2, ALL)


def test_a_sweep_is_stopped_after_what_runs_and_resumed(world: World) -> None:
    world.sweep()
    s3: Any = world.s3
    claim.change(Bucket(s3, "bucket"), SWEEP, lambda run: replace(run, paused=True))
    world.finish_jobs()
    world.tick()
    assert len(world.sagemaker.jobs) == 1
    assert status(world)["state"] == "stopped"
    world.sweep(confirmed=False)
    assert world.sagemaker.running() == [], "a schedule resumes nothing"

    world.sweep()
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


def overwrite(world: World) -> None:
    world.put(TRIP[0], b"another picture")
    world.send(Start("trip/"))


def delete(world: World) -> None:
    world.remove(TRIP[0])
    world.send(Start("trip/"))


@pytest.mark.parametrize("change", [overwrite, delete])
@pytest.mark.parametrize("when", ["ListObjectsV2", "HeadObject", "PutObject"])
def test_an_image_that_changes_in_the_middle_of_a_sweep_ends_with_its_present_answer(
    world: World, change: Callable[[World], None], when: str
) -> None:
    for after in range(1, 60, 4):
        each = World(bounds=replace(SMALL, grace_seconds=0))
        each.fill(*ALL)
        each.answer(*ALL)
        each.promote(2)
        calls = 0

        def hook(operation: str, key: str, each: World = each, after: int = after) -> None:
            nonlocal calls
            calls += operation == when
            if calls == after:
                each.s3.hook = lambda operation, key: None
                change(each)

        each.s3.hook = hook
        each.sweep()
        each.finish_jobs()
        each.s3.hook = lambda operation, key: None
        each.start("trip/")
        each.finish_jobs()
        assert each.answered() == each.images(), (when, after)
        assert set(models(each).values()) == {str(model(2))}, (when, after)
        assert each.open_runs() == []


def test_a_claim_written_before_there_were_sweeps_is_still_a_run() -> None:
    old = b'{"path": "trip/", "nonce": "n", "started_at": "t", "first": true, "again": false}'
    run = claim.Run.from_json(old)
    assert run == claim.Run("trip/", "n", "t", first=True)
    assert claim.Run.from_json(run.to_json().encode()) == run
    assert claim_key(run.scope.token) == claim_key(Scope("trip/").token)
