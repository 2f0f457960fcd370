"""Jobs that stop, fail or answer nothing, and images that change while a job has them."""

from collections.abc import Callable

import pytest

from batch.run import advance, find
from domain.result import Classified
from domain.scope import Scope
from tests.support.fakes.aws import error
from tests.support.fakes.sagemaker import no_one
from tests.support.worlds.folders import World, with_late
from tests.support.worlds.uploads import what_is_on


@pytest.fixture
def world() -> World:
    return World()


def test_a_stopped_job_is_taken_to_have_answered_nothing_and_its_images_are_tried_again(
    world: World,
) -> None:
    keys = [f"inbox/trip/{number}.jpg" for number in range(4)]
    world.fill(*keys)
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    world.sagemaker.end(job, answers=lambda key: "1" in key, status="Stopped")
    world.changed(job)
    assert world.answered() == []

    world.finish_jobs()

    assert world.answered() == keys
    assert [each.attempt for each in world.jobs()] == [1, 2]
    assert world.status("trip/")["state"] == "finished"


def test_a_job_that_failed_with_some_outputs_keeps_them_and_the_rest_is_tried_again(
    world: World,
) -> None:
    keys = [f"inbox/trip/{number}.jpg" for number in range(4)]
    world.fill(*keys)
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    world.sagemaker.end(job, answers=lambda key: "2" not in key)
    world.changed(job)

    assert world.sagemaker.jobs[job].status == "Failed"
    assert world.answered() == keys
    result = world.result("inbox/trip/2.jpg")
    assert result is not None
    assert (result.how.route, result.how.attempt) == ("endpoint", 2)
    assert world.summary("trip/")["classified"] == 4


def test_a_job_that_answered_nothing_fails_the_run_and_rejects_nobody(world: World) -> None:
    world.fill("inbox/trip/1.jpg", "inbox/trip/2.jpg")
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    world.sagemaker.end(job, answers=no_one)
    world.changed(job)

    assert world.answered() == []
    assert world.open_runs() == []
    assert world.status("trip/")["state"] == "failed"
    assert "ClientError: see the log" in world.status("trip/")["reason"]
    assert world.summary("trip/")["unanswered"] == 2

    world.run("trip/")
    assert len(world.answered()) == 2
    assert world.status("trip/")["state"] == "finished"


OF_AWS = [
    "CapacityError: Unable to provision requested ML compute capacity. Please retry.",
    "InternalServerError: We encountered an internal error. Please try again.",
]


@pytest.mark.parametrize("reason", OF_AWS)
def test_a_job_that_fails_for_reasons_of_aws_takes_an_attempt_and_not_the_run(
    world: World, reason: str
) -> None:
    keys = [f"inbox/trip/{number}.jpg" for number in range(4)]
    world.fill(*keys)
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    world.sagemaker.end(job, answers=no_one, reason=reason)
    world.changed(job)

    world.finish_jobs()

    assert world.answered() == keys
    assert world.status("trip/")["state"] == "finished"


@pytest.mark.parametrize("reason", OF_AWS)
def test_aws_may_fail_a_run_three_times_and_no_more(world: World, reason: str) -> None:
    world.fill(*(f"inbox/trip/{number:03}.jpg" for number in range(30)))
    world.start("trip/")
    while world.sagemaker.running():
        (job,) = world.sagemaker.running()
        world.sagemaker.end(job, answers=no_one, reason=reason)
        world.changed(job)

    assert {each.attempt for each in world.jobs()} == {1, 2, 3}
    assert world.answered() == []
    assert world.open_runs() == []
    assert world.summary("trip/")["unanswered"] == 30


def test_a_job_that_sagemaker_refuses_fails_the_run_and_says_why(world: World) -> None:
    def refuse() -> None:
        raise error("CreateTransformJob", 400, "AccessDeniedException")

    world.sagemaker.meanwhile = refuse
    world.fill("inbox/trip/1.jpg")
    world.start("trip/")

    assert world.status("trip/")["state"] == "failed"
    assert "AccessDeniedException" in world.status("trip/")["reason"]
    assert world.answered() == []
    assert world.open_runs() == []


def test_images_that_no_attempt_answers_fail_the_run_with_their_number() -> None:
    world = World(settings=with_late(0))
    world.fill("inbox/trip/1.jpg", "inbox/trip/2.jpg")
    world.start("trip/")
    for _ in range(3):
        (job,) = world.sagemaker.running()
        world.sagemaker.end(job, answers=lambda key: "1" in key)
        # A job with nothing at all would fail at once: this one wrote something, only not its own.
        world.sagemaker.write(job, "not asked for", "{}")
        world.changed(job)

    assert world.answered() == ["inbox/trip/1.jpg"]
    assert world.sagemaker.running() == []
    assert world.status("trip/")["state"] == "failed"
    assert world.status("trip/")["reason"] == "no answer after 3 attempts: 1 images"
    assert world.open_runs() == []


def test_an_output_that_is_no_reply_is_trouble_and_no_rejection() -> None:
    world = World(settings=with_late(0))
    world.fill("inbox/trip/1.jpg")
    world.start("trip/")
    (job,) = world.sagemaker.running()
    world.sagemaker.end(job)
    world.sagemaker.write(job, "1.jpg", "<html>oops</html>")
    world.changed(job)
    assert world.answered() == []

    world.finish_jobs()

    assert [each.attempt for each in world.jobs()] == [1, 2]
    assert isinstance(world.result("inbox/trip/1.jpg"), Classified)


def changed_in_content(world: World) -> None:
    world.put("inbox/trip/1.jpg", b"another picture")


def uploaded_again_as_it_was(world: World) -> None:
    world.s3.clock.tick(5)
    world.put("inbox/trip/1.jpg")


@pytest.mark.parametrize("change", [changed_in_content, uploaded_again_as_it_was])
def test_an_image_that_changed_while_transforming_is_answered_as_it_is_now(
    world: World, change: Callable[[World], None]
) -> None:
    world.fill("inbox/trip/1.jpg", "inbox/trip/2.jpg")
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    world.sagemaker.end(job)
    change(world)

    world.changed(job)

    assert len(world.answered()) == 2
    result = world.result("inbox/trip/1.jpg")
    assert isinstance(result, Classified)
    assert result.labels[0].label == what_is_on(world.s3.objects["inbox/trip/1.jpg"].body)
    assert (result.how.route, result.how.attempt) == ("endpoint", 2)


def test_an_image_deleted_while_transforming_leaves_no_result(world: World) -> None:
    world.fill("inbox/trip/1.jpg", "inbox/trip/2.jpg")
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    world.sagemaker.end(job)
    world.remove("inbox/trip/1.jpg")

    world.changed(job)

    assert world.result("inbox/trip/1.jpg") is None
    assert world.summary("trip/")["images"] == 1
    assert world.status("trip/")["state"] == "finished"


def test_without_capacity_the_run_says_so_and_goes_on_with_the_sweeper(world: World) -> None:
    world.sagemaker.capacity = 0
    world.fill("inbox/trip/1.jpg")
    world.start("trip/")
    assert world.status("trip/")["state"] == "waiting for capacity"

    world.sagemaker.capacity = 1
    world.tick()
    assert world.status("trip/")["state"] == "running"

    world.finish_jobs()
    assert world.status("trip/")["state"] == "finished"


def test_a_lost_page_is_sent_again_after_an_hour_and_not_before(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    world.sagemaker.end(job)
    run = find(world.cloud, Scope("trip/").token)
    assert run is not None
    advance(world.cloud, run)
    lost = len(world.sqs.sent)
    world.delivered = lost

    world.tick()
    assert world.answered() == []
    world.s3.clock.tick(3601)
    world.tick()

    assert world.answered() == ["inbox/trip/1.jpg"]
    assert world.open_runs() == []


def test_a_late_event_of_a_job_whose_run_is_over_changes_nothing(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    world.run("trip/")
    (job,) = world.sagemaker.jobs
    before = dict(world.s3.objects)

    world.changed(job)

    assert world.s3.objects == before
