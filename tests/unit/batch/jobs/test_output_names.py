"""Outputs of a job that are not named as expected: found by name, and never another image's."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws.bucket import Bucket
from batch.jobs import output_names
from batch.jobs.collect import output_order, outputs
from batch.jobs.output_names import VARIANTS, beyond_prefix, find_elsewhere
from batch.planning.slice import Row
from tests.support.fakes.aws import FakeS3
from tests.support.worlds.folders import World

PREFIX = "inbox/trip/"
OUTPUT = "work/runs/t/n/output/1-000000-0/"
MANIFEST = "work/runs/t/n/plans/1-000000-p/0.manifest"
Naming = Callable[[str, str], str]


class Job:
    """A job of these images, in a folder `trip/`, which names its outputs by `naming`."""

    def __init__(self, *images: str, naming: Naming, answered: set[str] | None = None) -> None:
        self.s3, self.keys = FakeS3(), [PREFIX + image for image in images]
        manifest = json.dumps([{"prefix": f"s3://bucket/{PREFIX}"}, *images])
        self.s3.put_object(Bucket="bucket", Key=MANIFEST, Body=manifest)
        for key in self.keys:
            if answered is None or key.removeprefix(PREFIX) in answered:
                name = f"{OUTPUT}{naming(PREFIX, key)}.out"
                self.s3.put_object(Bucket="bucket", Key=name, Body=key)
        self.s3.calls.clear()
        client: Any = self.s3
        self.bucket = Bucket(client, "bucket")

    def page(self, *images: str) -> dict[str, str]:
        """Of a page of these images: which image's answer each of them is given."""
        listed = [Row(PREFIX + image, "e", 1, "2026-01-01T00:00:00+00:00") for image in images]
        rows = tuple(sorted(listed, key=output_order))
        listing = outputs(self.bucket, PREFIX, OUTPUT, rows, MANIFEST)
        bodies = {key: self.s3.objects[item.key].body.decode() for key, item in listing.items()}
        return {k.removeprefix(PREFIX): b.removeprefix(PREFIX) for k, b in bodies.items()}


@pytest.mark.parametrize("naming", VARIANTS)
def test_each_reading_of_the_reference_is_understood(naming: Naming) -> None:
    job = Job("a.jpg", "b.jpg", "day/c.jpg", naming=naming)
    assert job.page("a.jpg") == {"a.jpg": "a.jpg"}, "a page has its own images' outputs only"
    assert job.page("a.jpg", "b.jpg") == {"a.jpg": "a.jpg", "b.jpg": "b.jpg"}
    assert job.page("day/c.jpg") == {"day/c.jpg": "day/c.jpg"}


def test_two_images_that_could_be_meant_by_one_name_are_both_refused() -> None:
    """Also where they are on different pages: the whole manifest is asked."""
    naming = output_names.in_folder_of_prefix
    job = Job("a.jpg", "day1/c.jpg", "day2/c.jpg", naming=naming)
    assert job.page("a.jpg", "day1/c.jpg") == {"a.jpg": "a.jpg"}
    assert job.page("day2/c.jpg") == {}


def test_an_image_that_failed_is_not_given_its_neighbours_answer() -> None:
    """`trip/c.jpg.out` is of trip/trip/c.jpg as expected, or of trip/c.jpg in another reading."""
    job = Job("c.jpg", "trip/c.jpg", naming=beyond_prefix, answered={"trip/c.jpg"})
    assert job.page("c.jpg") == {}


@pytest.mark.parametrize("naming", VARIANTS)
def test_an_expected_name_is_not_believed_where_it_could_be_another_images(naming: Naming) -> None:
    """Named by the last folder, `x/day/c.jpg` writes `day/c.jpg.out`, which is what is expected of
    `day/c.jpg`: one of the two would be given the other's answer."""
    images = ("day/c.jpg", "x/day/c.jpg", "trip/c.jpg")
    job = Job(*images, naming=naming)
    for image in images:
        for of, answer in job.page(image).items():
            assert of == answer, f"{of} was given the answer of {answer}"


def test_expected_names_are_believed_where_only_they_explain_all_outputs() -> None:
    job = Job("day/c.jpg", "x/day/c.jpg", "y/z/e.jpg", naming=beyond_prefix)
    assert job.page("day/c.jpg") == {"day/c.jpg": "day/c.jpg"}
    assert job.page("x/day/c.jpg") == {"x/day/c.jpg": "x/day/c.jpg"}


def test_a_page_of_folders_that_nothing_contests_costs_a_list_and_a_manifest() -> None:
    job = Job("a/c.jpg", "b/c.jpg", "d.jpg", naming=beyond_prefix)
    assert job.page("a/c.jpg", "b/c.jpg") == {"a/c.jpg": "a/c.jpg", "b/c.jpg": "b/c.jpg"}
    assert job.s3.calls == {"ListObjectsV2": 1, "GetObject": 1}


def test_names_that_no_reading_explains_are_left_alone_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    job = Job("a.jpg", "b.jpg", naming=lambda prefix, key: f"part-{len(key)}/{key[-5:]}")
    assert job.page("a.jpg", "b.jpg") == {}
    assert "part-16/a.jpg.out" in caplog.text
    assert "not understood" in caplog.text


def test_a_page_whose_images_all_failed_costs_a_list_and_a_manifest() -> None:
    names = [f"{number:05}.jpg" for number in range(3_000)]
    job = Job(*names, naming=beyond_prefix, answered=set(names[:2_500]))
    assert job.page(*names[2_500:]) == {}
    assert job.s3.calls == {"ListObjectsV2": 2, "GetObject": 1}


def test_a_job_that_wrote_nothing_costs_one_list_more() -> None:
    job = Job("a.jpg", naming=beyond_prefix, answered=set())
    assert find_elsewhere(job.bucket, PREFIX, OUTPUT, MANIFEST) == {}
    assert job.s3.calls == {"ListObjectsV2": 1}


NAMES = st.lists(st.sampled_from(["a", "b", "trip", "inbox"]), min_size=1, max_size=4).map("/".join)


@given(st.sets(NAMES, min_size=1, max_size=8), st.sampled_from(VARIANTS), st.data())
def test_no_image_is_given_another_ones_answer(
    images: set[str], naming: Naming, data: st.DataObject
) -> None:
    answered = data.draw(st.sets(st.sampled_from(sorted(images))))
    job = Job(*sorted(images), naming=naming, answered=answered)
    # Where two images write one name, SageMaker keeps one of them, and nothing tells which.
    for image in images:
        for of, answer in job.page(image).items():
            assert of == answer


@pytest.mark.parametrize("naming", VARIANTS)
def test_a_folder_is_answered_whatever_the_outputs_are_called(naming: Naming) -> None:
    world = World()
    world.sagemaker.name_output = naming
    keys = [f"inbox/trip/{number}.jpg" for number in range(5)]
    world.fill(*keys)
    world.run("trip/")
    assert world.answered() == keys
    assert world.summary("trip/")["classified"] == 5
