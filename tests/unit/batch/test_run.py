"""A folder from its start to its report, over an in-memory bucket and jobs that end when told."""

import re
from dataclasses import replace

import pytest

from batch.run import advance, begin
from domain.keys import fits_manifest
from domain.result import Classified, Rejected
from domain.scope import Scope
from tests.support.worlds.folders import SMALL, World, with_late
from tests.support.worlds.uploads import what_is_on


@pytest.fixture
def world() -> World:
    return World()


def test_a_folder_is_answered_by_one_job_a_slice_and_reported(world: World) -> None:
    keys = [f"inbox/trip/{number}.jpg" for number in range(10)]
    world.fill(*keys)

    world.run("trip/")

    assert world.answered() == keys
    assert [job.index for job in world.jobs()] == [0, 1]
    assert world.status("trip/")["state"] == "finished"
    assert world.summary("trip/")["classified"] == 10
    assert [row["image"] for row in world.table("trip/")] == keys
    assert world.open_runs() == []
    assert world.endpoint.requests == []


def test_every_time_that_is_told_has_one_form(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    world.run("trip/")
    documents = {key: stored.body.decode() for key, stored in world.s3.objects.items()
                 if key.startswith("outbox/")}  # fmt: skip
    assert {"outbox/trip/_status.json", "outbox/trip/1.jpg.json"} <= set(documents)
    for key, text in documents.items():
        for time in re.findall(r"\d{4}-\d\d-\d\dT[\d:.]*[^\s\"',<]*", text):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", time), key


def test_the_first_run_is_a_job_even_for_one_image(world: World) -> None:
    world.fill("inbox/trip/1.jpg")

    world.run("trip/")

    assert len(world.sagemaker.jobs) == 1
    assert world.endpoint.requests == []
    result = world.result("inbox/trip/1.jpg")
    assert result is not None
    assert (result.how.route, result.how.job) == ("batch", next(iter(world.sagemaker.jobs)))


def test_a_few_late_images_go_to_the_endpoint(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    world.run("trip/")
    world.fill("inbox/trip/2.jpg", "inbox/trip/3.jpg")

    world.start("trip/")

    assert len(world.sagemaker.jobs) == 1
    assert len(world.endpoint.requests) == 2
    assert len(world.answered()) == 3
    assert world.summary("trip/")["classified"] == 3


def test_many_late_images_are_a_job_again(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    world.run("trip/")
    world.fill(*(f"inbox/trip/late-{number}.jpg" for number in range(4)))

    world.run("trip/")

    assert len(world.sagemaker.jobs) == 2
    assert world.endpoint.requests == []
    assert len(world.answered()) == 5


def test_few_late_images_in_a_part_of_a_long_walk_are_not_taken_for_all(world: World) -> None:
    """Four late images, of which at most three may go direct, in slices of one."""
    world.fill("inbox/trip/1.jpg")
    world.run("trip/")
    world.limits = replace(SMALL, slice_rows=1)
    world.fill(*(f"inbox/trip/late-{number}.jpg" for number in range(4)))

    world.run("trip/")

    assert len(world.sagemaker.jobs) > 1
    assert len(world.answered()) == 5


def test_no_more_than_two_slices_are_open_at_once() -> None:
    world = World(limits=replace(SMALL, slice_rows=1))
    world.fill(*(f"inbox/trip/{number}.jpg" for number in range(8)))
    run = begin(world.cloud, Scope("trip/"))
    for _ in range(4):
        # Jobs end one after the other, and no page is answered in the meantime.
        advance(world.cloud, run)
        for name in world.sagemaker.running():
            world.sagemaker.end(name)
    assert len(world.sagemaker.jobs) == 2

    world.drain()
    world.finish_jobs()
    world.tick()
    world.finish_jobs()
    assert len(world.answered()) == 8


STRANGE = [
    "inbox/trip/with space.jpg",
    "inbox/trip/a+b%20.jpg",
    "inbox/trip/ÄÖ 猫 \U0001f600.jpg",
    "inbox/trip/line\nbreak\r.jpg",
    "inbox/trip/../up.jpg",
    "inbox/trip//double.jpg",
    'inbox/trip/"quoted", comma.jpg',
    "inbox/trip/\u2028separator.jpg",
    "inbox/trip/" + "é" * 506 + "x",
    "inbox/trip/empty",
]


def test_strange_keys_are_answered_under_matching_keys(world: World) -> None:
    world.limits = replace(SMALL, slice_rows=100)
    world.fill(*STRANGE[:-1])
    world.put(STRANGE[-1], b"")

    world.run("trip/")

    assert world.answered() == sorted(STRANGE)
    assert [row["image"] for row in world.table("trip/")] == sorted(STRANGE)
    in_jobs = {key for name in world.sagemaker.jobs for key in world.sagemaker.images(name)}
    assert in_jobs == {key for key in STRANGE[:-1] if fits_manifest(key)}


def test_neighbours_in_name_get_each_its_own_answer(world: World) -> None:
    keys = [
        *("inbox/in/cat", "inbox/in/cat (1).jpg", "inbox/in/a", "inbox/in/a.jpg"),
        *("inbox/in/a.json", "inbox/in/a.out", "inbox/in/a/deeper.jpg", "inbox/in/a.jpg.json"),
    ]
    for bounds in (replace(SMALL, slice_rows=1, page_rows=1), replace(SMALL, slice_rows=100)):
        world = World(limits=bounds)
        world.fill(*keys)
        world.run("in/")
        labels = {
            key: result.labels[0].label
            for key in keys
            if isinstance(result := world.result(key), Classified)
        }
        assert labels == {key: what_is_on(key.encode()) for key in keys}


def test_two_folders_whose_names_begin_alike_stay_apart(world: World) -> None:
    world.fill("inbox/a/1.jpg", "inbox/ab/1.jpg", "inbox/a.jpg", "inbox/a-b/1.jpg")

    world.run("a/")

    assert world.answered() == ["inbox/a/1.jpg"]
    assert world.summary("a/")["images"] == 1


def test_two_folders_at_once(world: World) -> None:
    world.fill("inbox/one/1.jpg", "inbox/two/1.jpg")
    world.start("one/")
    world.start("two/")
    assert len(world.open_runs()) == 2

    world.finish_jobs()

    assert world.answered() == ["inbox/one/1.jpg", "inbox/two/1.jpg"]
    assert world.open_runs() == []


def test_nested_folders_are_runs_of_their_own_where_the_depth_says_so() -> None:
    world = World(settings=replace(with_late(3), folder_depth=2))
    world.fill("inbox/a/1.jpg", "inbox/a/b/2.jpg", "inbox/a/b/c/3.jpg")

    world.run("a/")
    assert world.answered() == ["inbox/a/1.jpg"]
    world.run("a/b/")
    assert len(world.answered()) == 3


def test_placeholders_and_system_files_are_counted_and_not_classified(world: World) -> None:
    world.fill("inbox/t/1.jpg", "inbox/t/Thumbs.db", "inbox/t/_READY", "inbox/t/.x", "inbox/t/d/")

    world.run("t/")

    assert world.summary("t/")["images"] == 1
    assert world.summary("t/")["ignored"] == 3


def test_what_is_no_image_is_rejected_and_listed(world: World) -> None:
    world.fill("inbox/trip/1.jpg")
    world.put("inbox/trip/2.jpg", b"junk")

    world.run("trip/")

    result = world.result("inbox/trip/2.jpg")
    assert isinstance(result, Rejected)
    assert result.code == "not_an_image"
    assert world.summary("trip/")["codes"] == {"not_an_image": 1}
    assert "inbox/trip/2.jpg" in world.file("trip/", "errors.jsonl")
    assert world.status("trip/")["state"] == "finished"
