"""Starts, planners and finishers at the same moment: one run, one job, one report."""

import pytest

from batch.run import Closed, Waiting, advance, begin, find
from domain.scope import Scope
from functions.messages import Start
from tests.support.worlds.folders import World


@pytest.fixture
def world() -> World:
    return World()


def test_a_repeated_start_has_one_run_and_one_job(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    world.start("trip/")
    world.start("trip/")
    world.start("trip/")
    assert len(world.open_runs()) == 1

    world.finish_jobs()

    assert len(world.sagemaker.jobs) == 1
    assert world.open_runs() == []


def test_ready_and_the_quiet_timer_at_once_have_one_job(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    timer = world.debounce("trip/", "0123456789")
    world.send(timer)
    world.send(Start("trip/"))
    world.drain()

    world.finish_jobs()

    assert len(world.sagemaker.jobs) == 1
    assert world.answered() == ["inbox/trip/1.jpg"]


def test_a_timer_whose_folder_lived_on_is_dropped(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    outdated = world.debounce("trip/", "0000000001")
    world.debounce("trip/", "0000000002")

    world.send(outdated)
    world.drain()

    assert world.open_runs() == []


def test_an_image_that_comes_while_the_run_is_open_is_answered_after_it(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    world.sagemaker.end(job)
    world.fill("inbox/trip/2.jpg")
    world.send(world.debounce("trip/", "0000000002"))
    world.drain()

    assert world.answered() == ["inbox/trip/1.jpg", "inbox/trip/2.jpg"]
    assert world.open_runs() == []


def test_a_start_that_comes_as_the_run_is_closed_is_not_lost(world: World) -> None:
    """Between the finisher's look at the claim and its delete."""
    world.fill("inbox/trip/1.jpg")
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    world.sagemaker.end(job)
    asked: list[str] = []

    def ask_while_closing(operation: str, key: str) -> None:
        if operation == "DeleteObject" and "claims" in key and not asked:
            asked.append(key)
            world.fill("inbox/trip/2.jpg")
            begin(world.cloud, Scope("trip/"))

    world.s3.hook = ask_while_closing
    world.changed(job)

    assert asked
    assert world.answered() == ["inbox/trip/1.jpg", "inbox/trip/2.jpg"]
    assert world.open_runs() == []


def test_two_planners_of_one_slice_have_one_plan_and_one_job(world: World) -> None:
    world.fill("inbox/trip/1.jpg", "inbox/trip/2.jpg")
    run = begin(world.cloud, Scope("trip/"))
    raced: list[str] = []

    def plan_too(operation: str, key: str) -> None:
        if operation == "PutObject" and "/slices/" in key and not raced:
            raced.append(key)
            advance(world.cloud, run)

    world.s3.hook = plan_too
    advance(world.cloud, run)

    assert raced
    assert len(world.sagemaker.jobs) == 1
    assert len([key for key in world.s3.objects if "/slices/" in key]) == 1


def test_two_that_start_one_job_at_once_have_one_job(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    run = begin(world.cloud, Scope("trip/"))

    def create_too() -> None:
        world.sagemaker.meanwhile = lambda: None
        advance(world.cloud, run)

    world.sagemaker.meanwhile = create_too

    assert isinstance(advance(world.cloud, run), Waiting)
    assert len(world.sagemaker.jobs) == 1


def test_two_finishers_at_once_leave_one_report(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    world.sagemaker.end(job)
    raced: list[object] = []

    def finish_too(operation: str, key: str) -> None:
        if operation == "PutObject" and key.endswith("predictions.csv") and not raced:
            raced.append(key)
            run = find(world.cloud, Scope("trip/").token)
            assert run is not None
            raced.append(advance(world.cloud, run))

    world.s3.hook = finish_too
    world.changed(job)

    assert len(raced) == 2
    assert world.open_runs() == []
    assert world.status("trip/")["state"] == "finished"
    assert len(world.table("trip/")) == 1


def test_a_finisher_that_slept_overwrites_nothing_of_the_next_run(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    stale = find(world.cloud, Scope("trip/").token)
    assert stale is not None
    world.sagemaker.end(job)
    world.changed(job)
    world.fill("inbox/trip/2.jpg")
    world.start("trip/")
    before = dict(world.s3.objects)

    assert advance(world.cloud, stale) == Closed()
    told = [key for key in before if key.startswith("outbox/trip/")]
    assert [world.s3.objects[key] for key in told] == [before[key] for key in told]
