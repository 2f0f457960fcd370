"""Singles that are too large for the endpoint share one run, and keep an answer each."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from batch.planning.slice import LARGE_IMAGES
from domain.keys import LARGE_MARKERS, claim_key, large_image, large_key
from domain.result import Classified
from domain.route import ENDPOINT_BYTES
from domain.scope import LARGE_SINGLES, Scope
from functions.messages import Start
from tests.support.worlds import uploads
from tests.support.worlds.folders import ON_FOLDER, SMALL, World
from tests.support.worlds.uploads import notification, what_is_on

BIG = b"x" * (ENDPOINT_BYTES + 1)


@pytest.fixture
def world() -> World:
    return World(limits=replace(SMALL, large_rows=100, slice_rows=100))


def keys(count: int) -> list[str]:
    return [f"inbox/{number:03}.jpg" for number in range(count)]


def upload(world: World, *dropped: str, content: bytes = BIG) -> None:
    """Through on_upload's own door."""
    door = uploads.World(s3=world.s3, sqs=world.sqs, endpoint=world.endpoint)
    for key in dropped:
        world.put(key, content)
        assert door.failed(notification(key)) == []


def markers(world: World) -> list[str]:
    return sorted(large_image(key) for key in world.s3.objects if key.startswith(LARGE_MARKERS))


def test_two_hundred_share_one_job_and_have_an_answer_each(world: World) -> None:
    world.limits = replace(SMALL, large_rows=1_000, slice_rows=1_000, page_rows=500)
    upload(world, *keys(200))
    world.drain()
    (job,) = world.sagemaker.jobs
    assert world.sagemaker.jobs[job].request["MaxPayloadInMB"] == LARGE_IMAGES.payload_mb
    assert world.sagemaker.images(job) == keys(200)
    assert "-large-singles-" in job

    world.finish_jobs()
    assert world.answered() == keys(200)
    result = world.result("inbox/000.jpg")
    assert isinstance(result, Classified)
    assert (result.how.route, result.how.job) == ("batch", job)
    assert world.open_runs() == []
    assert markers(world) == [], "what is answered is not looked at again"
    assert world.read_json("outbox/_singles/_status.json")["state"] == "finished"


def test_they_wait_for_a_job_of_the_stage_as_folders_do(world: World) -> None:
    world.settings = replace(ON_FOLDER, transform_jobs=1)
    world.fill("inbox/trip/1.jpg")
    world.start("trip/")
    upload(world, *keys(2))
    world.drain()
    assert world.read_json("outbox/_singles/_status.json")["state"] == "waiting for other jobs"
    world.finish_jobs()
    assert len(world.answered()) == 3


def test_more_than_a_bound_are_several_jobs_one_after_the_other(world: World) -> None:
    world.limits = replace(SMALL, large_rows=3)
    upload(world, *keys(8))
    world.drain()
    assert len(world.sagemaker.running()) == 1
    world.finish_jobs()
    assert world.answered() == keys(8)
    assert len(world.sagemaker.jobs) == 3


def test_one_that_came_while_they_were_at_work_is_answered_by_the_next_run(world: World) -> None:
    upload(world, "inbox/a.jpg")
    world.drain()
    upload(world, "inbox/b.jpg")
    world.drain()
    world.finish_jobs()
    assert world.answered() == ["inbox/a.jpg", "inbox/b.jpg"]
    assert markers(world) == []


def test_one_that_is_overwritten_while_its_marker_is_looked_at_keeps_it(world: World) -> None:
    """Just before the marker of an answered image is taken away, the image becomes another."""
    upload(world, "inbox/a.jpg")
    world.drain()
    other = BIG + b"another"

    def overwrite(operation: str, key: str) -> None:
        if operation == "DeleteObject" and key == large_key("inbox/a.jpg"):
            world.s3.hook = lambda operation, key: None
            upload(world, "inbox/a.jpg", content=other)

    world.s3.hook = overwrite
    world.finish_jobs()
    world.finish_jobs()
    result = world.result("inbox/a.jpg")
    assert isinstance(result, Classified)
    assert result.labels[0].label == what_is_on(other)
    assert markers(world) == []


def test_one_that_has_gone_or_become_small_is_left_out(world: World) -> None:
    upload(world, *keys(3))
    world.remove("inbox/000.jpg")
    upload(world, "inbox/001.jpg", content=b"small")
    world.drain()
    (job,) = world.sagemaker.jobs
    assert world.sagemaker.images(job) == ["inbox/002.jpg"]
    world.finish_jobs()
    assert world.answered() == keys(3)[1:]
    assert markers(world) == []


def test_a_search_for_unanswered_images_leaves_them_to_their_open_run(world: World) -> None:
    upload(world, *keys(2))
    world.drain()
    assert claim_key(LARGE_SINGLES.token) in world.s3.objects
    world.s3.clock.now += timedelta(seconds=world.limits.grace_seconds + 1)
    world.sweep(kind="unanswered")
    assert len(world.sagemaker.jobs) == 1
    world.finish_jobs()
    assert world.answered() == keys(2)


def test_a_run_of_one_that_was_asked_for_before_they_shared_one_is_still_answered(
    world: World,
) -> None:
    world.put("inbox/a.jpg", BIG)
    world.send(Start("a.jpg"))
    world.drain()
    world.finish_jobs()
    assert world.answered() == ["inbox/a.jpg"]


def test_the_marker_tells_versions_of_an_image_apart(world: World) -> None:
    upload(world, "inbox/a.jpg")
    first = world.s3.objects[large_key("inbox/a.jpg")].etag
    upload(world, "inbox/a.jpg")
    assert world.s3.objects[large_key("inbox/a.jpg")].etag != first
    assert "version" in json.loads(world.s3.objects[large_key("inbox/a.jpg")].body)


def test_their_scope_is_no_folder_and_no_sweep() -> None:
    assert LARGE_SINGLES.gathers
    assert not LARGE_SINGLES.is_folder
    assert not LARGE_SINGLES.is_reclassification
    assert not Scope("", "renewal").is_large_singles
    assert LARGE_SINGLES.token.startswith("large-singles-")
