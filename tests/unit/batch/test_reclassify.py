"""Sweeps: everything below a prefix is brought up to date, whatever happens meanwhile."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from batch import claim
from domain.keys import claim_key, result_key
from domain.scope import Scope
from functions.messages import Start
from tests.support.worlds.folders import SMALL, World
from tests.support.worlds.sweeps import (
    ALL,
    DEEP,
    SINGLES,
    TRIP,
    answered_long_ago,
    by,
    models,
    status,
)
from tests.support.worlds.uploads import model


@pytest.fixture
def world() -> World:
    return answered_long_ago(*ALL)


def test_singles_and_folders_are_all_answered_by_the_active_model(world: World) -> None:
    world.sweep()
    world.finish_jobs()

    assert models(world) == by(2, ALL)
    assert world.answered() == ALL
    assert world.open_runs() == []
    assert status(world)["state"] == "finished"
    assert status(world)["progress"]["answered"] == status(world)["progress"]["planned"] == 12
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
    assert world.endpoint.requests == []


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
    jobs = [str(job) for job in world.jobs() if job.slug == "renewal"]
    assert sorted(key for job in jobs for key in images(world, job)) == ALL


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
        each = World(limits=replace(SMALL, grace_seconds=0))
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
