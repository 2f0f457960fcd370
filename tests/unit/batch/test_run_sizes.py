"""Sizes that decide the road, and folders with nothing to do."""

from dataclasses import replace

import pytest

from domain.keys import debounce_key
from domain.result import Rejected
from domain.scope import Scope
from tests.support.worlds.folders import ON_FOLDER, SMALL, World


@pytest.fixture
def world() -> World:
    return World()


def test_a_single_too_large_for_the_endpoint_is_a_run_of_its_own(world: World) -> None:
    world.put("inbox/big.jpg", b"x" * 6_300_000)

    world.run("big.jpg")

    (job,) = world.sagemaker.jobs.values()
    assert job.request["MaxPayloadInMB"] == 100
    assert world.answered() == ["inbox/big.jpg"]
    assert world.open_runs() == []
    assert [key for key in world.s3.objects if key.startswith("outbox/")] == ["outbox/big.jpg.json"]


def test_sizes_that_a_small_job_cannot_take_are_a_job_of_their_own(world: World) -> None:
    world.limits = replace(SMALL, slice_rows=100)
    world.fill("inbox/trip/small.jpg")
    world.put("inbox/trip/large.jpg", b"x" * 6_300_000)

    world.run("trip/")

    asked = [job.request for job in world.sagemaker.jobs.values()]
    assert [each["MaxPayloadInMB"] for each in asked] == [6, 100]
    assert "MaxConcurrentTransforms" not in asked[0]
    assert asked[1]["MaxConcurrentTransforms"] == 1
    assert len(world.answered()) == 2


def test_a_large_image_with_an_odd_name_is_rejected_with_what_to_do(world: World) -> None:
    world.put("inbox/trip//odd.jpg", b"x" * 6_300_000)

    world.run("trip/")

    result = world.result("inbox/trip//odd.jpg")
    assert isinstance(result, Rejected)
    assert result.code == "too_large"
    assert "Rename it" in result.message
    assert world.status("trip/")["state"] == "finished"


def test_a_folder_with_nothing_to_do_ends_at_once_and_does_not_start_again(world: World) -> None:
    world.start("trip/")
    assert world.summary("trip/")["images"] == 0
    assert world.open_runs() == []
    assert [body for _, body, _ in world.sqs.sent] == [{"start": {"path": "trip/"}}]


def test_the_timer_that_is_sent_again_is_that_of_the_last_beat(world: World) -> None:
    timer = world.debounce("trip/", "0123456789")
    world.cloud.look_later(Scope("trip/"), False)
    world.cloud.look_later(Scope("big.jpg"), False)
    again, single = (body for _, body, _ in world.sqs.sent)
    assert again == {"quiet": {"path": timer.path, "nonce": timer.nonce}}
    assert single == {"start": {"path": "big.jpg"}}
    assert debounce_key(Scope("trip/").token) in world.s3.objects


@pytest.mark.parametrize(("images", "jobs"), [(1, 0), (3, 0), (4, 1)])
def test_a_setting_sends_small_folders_through_the_endpoint_from_their_first_run_on(
    images: int, jobs: int
) -> None:
    world = World(settings=replace(ON_FOLDER, endpoint_max_first=3, endpoint_max_late=0))
    world.fill(*(f"inbox/trip/{number}.jpg" for number in range(images)))
    world.run("trip/")
    assert len(world.answered()) == images
    assert len(world.sagemaker.jobs) == jobs
    assert world.status("trip/")["state"] == "finished"
    assert world.summary("trip/")["images"] == images


def test_without_it_a_folder_of_one_image_is_a_job_as_promised() -> None:
    world = World()
    world.fill("inbox/trip/1.jpg")
    world.run("trip/")
    assert len(world.sagemaker.jobs) == 1


def test_the_end_of_a_large_folder_is_no_small_folder() -> None:
    """Slices of some four: the last one's two are of a run that has jobs already."""
    world = World(settings=replace(ON_FOLDER, endpoint_max_first=3, endpoint_max_late=0))
    world.fill(*(f"inbox/trip/{number}.jpg" for number in range(12)))
    world.run("trip/")
    assert [each.index for each in world.jobs()] == [0, 1, 2]
    assert min(len(world.sagemaker.images(name)) for name in world.sagemaker.jobs) <= 3
