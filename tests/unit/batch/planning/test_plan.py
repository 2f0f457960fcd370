"""Slices: bounded steps over a listing of any length, each planned once."""

import json
from dataclasses import replace
from typing import Any

import pytest

from batch.claim import Run
from batch.context import Limits
from batch.planning.plan import divide, plan, route_of
from batch.planning.slice import (
    LARGE_IMAGES,
    SMALL_IMAGES,
    PageRef,
    Part,
    Row,
    Slice,
    ViaEndpoint,
    inputs_of,
    latest,
    open_page,
    read,
    rows_from_text,
    rows_to_text,
)
from batch.run import advance, begin
from domain.scope import Scope
from tests.support.fakes.aws import FakeS3
from tests.support.worlds.folders import World

TRIP = Scope("trip/")


def row(key: str, size: int = 1) -> Row:
    return Row(key, "etag", size, "2026-01-01T00:00:00+00:00")


def all_slices(world: World, run: Run) -> list[Slice]:
    planned = [plan(world.cloud, run, 1, None)]
    while not planned[-1].last:
        planned.append(plan(world.cloud, run, 1, planned[-1]))
    return planned


def planned_keys(world: World, run: Run, slices: list[Slice]) -> list[str]:
    return [
        row.key
        for each in slices
        for part, about in enumerate(each.parts)
        for page in range(about.pages)
        for row in rows_from_text(world.s3.objects[each.page_key(run.keys, part, page)].body)
    ]


class ManyKeys(FakeS3):
    """Lists `count` images of one folder without holding them; the rest is stored as usual."""

    count = 0

    def list_objects_v2(self, *, Bucket: str, Prefix: str = "", **asked: Any) -> dict[str, Any]:
        if Prefix != "inbox/trip/":
            return super().list_objects_v2(Bucket=Bucket, Prefix=Prefix, **asked)
        self._called("ListObjectsV2", Bucket, Prefix)
        after = asked.get("ContinuationToken") or asked.get("StartAfter") or ""
        first = int(after.removeprefix(Prefix)) + 1 if after else 0
        numbers = range(first, min(first + 1000, self.count))
        keys = [f"{Prefix}{number:07}" for number in numbers]
        truncated = numbers.stop < self.count
        about = {"ETag": '"e"', "Size": 1, "LastModified": self.clock.now}
        answer: dict[str, Any] = {"IsTruncated": truncated}
        answer["Contents"] = [about | {"Key": key} for key in keys]
        return answer | ({"NextContinuationToken": keys[-1]} if truncated else {})


def test_a_hundred_and_twenty_thousand_images_are_three_slices_of_bounded_pages() -> None:
    s3 = ManyKeys()
    s3.count = 120_000
    world = World(s3=s3, limits=Limits())
    run = begin(world.cloud, TRIP)

    slices = all_slices(world, run)

    assert [each.parts for each in slices] == [
        (Part(SMALL_IMAGES, 50_001, 101),),
        (Part(SMALL_IMAGES, 50_001, 101),),
        (Part(SMALL_IMAGES, 19_998, 40),),
    ]
    keys = planned_keys(world, run, slices)
    assert len(keys) == 120_000
    assert len(set(keys)) == 120_000
    assert slices[-1].rows == 120_000
    # Each key is listed once, and the page at which a slice closes once more.
    assert s3.calls["ListObjectsV2"] <= 120 + 2 * len(slices) + 3


def test_a_folder_whose_images_are_all_answered_is_walked_in_bounded_steps() -> None:
    world = World(limits=Limits(slice_rows=50, page_rows=10, walk_keys=20))
    for number in range(40):
        world.fill(f"inbox/trip/{number:02}.jpg")
    world.s3.clock.tick(60)
    world.answer(*world.images())
    run = begin(world.cloud, TRIP)
    heads = world.s3.calls["HeadObject"]

    slices = all_slices(world, run)

    assert len(slices) >= 3
    assert all(each.parts == () or each.rows <= len(slices) for each in slices)
    # What a slice still holds when it closes is all that is looked at one by one.
    assert world.s3.calls["HeadObject"] - heads <= len(slices)


def test_looks_at_single_results_count_more_than_listed_keys() -> None:
    world = World(limits=Limits(walk_keys=100))
    for number in range(40):
        world.fill(f"inbox/trip/{number:02}.jpg")
    world.answer(*world.images())
    run = begin(world.cloud, TRIP)

    slices = all_slices(world, run)

    assert len(slices) >= 7, "some 22 an image: a HEAD and two listed keys"
    assert slices[-1].rows == 0


@pytest.mark.parametrize("slice_rows", [1, 2, 3, 7, 100])
def test_slices_cover_every_image_once_wherever_they_are_cut(slice_rows: int) -> None:
    names = ["a", "a-1", "a-2", "a.jpg", "a/b", "aa", "cat", "cat (1).jpg", "cat.json", "z"]
    world = World(limits=Limits(slice_rows=slice_rows, page_rows=2))
    world.fill(*(f"inbox/trip/{name}" for name in names))
    # Some are answered already, so that the other listing matters wherever a slice begins.
    answered = {"a", "cat", "cat (1).jpg"}
    world.answer(*(f"inbox/trip/{name}" for name in answered))
    run = begin(world.cloud, TRIP)

    keys = planned_keys(world, run, all_slices(world, run))

    assert sorted(keys) == sorted(f"inbox/trip/{name}" for name in names if name not in answered)


def test_what_cannot_go_into_a_job_goes_direct() -> None:
    roads = {
        row("inbox/trip/a.jpg"): SMALL_IMAGES,
        row("inbox/trip/a.jpg", 6_000_000): SMALL_IMAGES,
        row("inbox/trip/a.jpg", 6_000_001): LARGE_IMAGES,
        row("inbox/trip/a.jpg", 100_000_000): LARGE_IMAGES,
        row("inbox/trip/a.jpg", 100_000_001): ViaEndpoint(),
        row("inbox/trip/a.jpg", 0): ViaEndpoint(),
        row("inbox/trip//a.jpg"): ViaEndpoint(),
        row("inbox/trip/a\n.jpg"): ViaEndpoint(),
    }
    assert {each: route_of(each) for each in roads} == roads


def test_up_to_so_many_late_images_go_direct() -> None:
    rows = [row(f"inbox/trip/{number}") for number in range(3)]
    assert [road for road, _ in divide(rows, endpoint_max=3)] == [ViaEndpoint()]
    assert [road for road, _ in divide(rows, endpoint_max=2)] == [SMALL_IMAGES]


def test_late_images_that_are_large_still_need_a_job() -> None:
    rows = [row("inbox/trip/a"), row("inbox/trip/b", 7_000_000)]
    assert [road for road, _ in divide(rows, endpoint_max=3)] == [LARGE_IMAGES, ViaEndpoint()]


def test_rows_are_paged_in_the_order_of_their_outputs() -> None:
    ((_, rows),) = divide([row("inbox/trip/a"), row("inbox/trip/a.k")], endpoint_max=0)
    assert [each.key for each in rows] == ["inbox/trip/a.k", "inbox/trip/a"]


def test_a_manifest_names_every_image_relative_to_the_folder() -> None:
    world = World()
    world.fill("inbox/trip/1.jpg", "inbox/trip/day 1/ü.jpg")
    run = begin(world.cloud, TRIP)
    planned = plan(world.cloud, run, 1, None)
    manifest = json.loads(world.s3.objects[planned.manifest_key(run.keys, 0)].body)
    assert manifest == [{"prefix": "s3://bucket/inbox/trip/"}, "1.jpg", "day 1/ü.jpg"]


@pytest.mark.parametrize(
    ("path", "prefix"), [("trip/", "inbox/trip/"), ("big.jpg", "inbox/")], ids=["folder", "single"]
)
def test_where_a_manifests_keys_begin(path: str, prefix: str) -> None:
    assert inputs_of(Scope(path)) == prefix


def test_a_planner_that_comes_second_takes_the_plan_of_the_first() -> None:
    world = World()
    world.fill("inbox/trip/1.jpg")
    run = begin(world.cloud, TRIP)
    first = plan(world.cloud, run, 1, None)
    world.fill("inbox/trip/2.jpg")
    assert plan(world.cloud, run, 1, None) == first


def test_a_slice_is_read_as_it_was_written() -> None:
    world = World()
    world.fill("inbox/trip/1.jpg", "inbox/trip//odd")
    run = begin(world.cloud, TRIP)
    planned = plan(world.cloud, run, 1, None)
    assert {type(part.route) for part in planned.parts} == {type(SMALL_IMAGES), ViaEndpoint}
    assert read(world.cloud.bucket, run.keys, 1, 0) == planned
    assert latest(world.cloud.bucket, run.keys) == (planned,)


def test_only_slices_of_the_latest_attempt_may_be_open() -> None:
    world = World(limits=replace(Limits(), slice_rows=1))
    world.fill(*(f"inbox/trip/{number}.jpg" for number in range(6)))
    run = begin(world.cloud, TRIP)
    slices = all_slices(world, run)
    assert latest(world.cloud.bucket, run.keys) == tuple(slices[-2:])
    second = plan(world.cloud, run, 2, None)
    assert latest(world.cloud.bucket, run.keys) == (second,)


def test_rows_are_read_as_they_were_written() -> None:
    rows = (row("inbox/trip/line\nbreak"), row("inbox/trip/\u2028\x85"))
    assert rows_from_text(rows_to_text(rows).encode()) == rows


def test_a_page_of_a_run_whose_files_have_expired_is_nothing() -> None:
    world = World()
    ref = PageRef(TRIP.token, "0123456789", 1, 0, 0, 0)
    assert open_page(world.cloud.bucket, "test", ref) is None


def test_planning_stops_in_time_and_goes_on_with_the_next_tick() -> None:
    """A folder so long that one invocation cannot walk it."""
    world = World(limits=Limits(walk_keys=10, planning_seconds=60))
    world.fill(*(f"inbox/trip/{number:02}.jpg" for number in range(40)))
    world.s3.clock.tick(60)
    world.answer(*world.images())
    run = begin(world.cloud, TRIP)

    def time_passes(operation: str, key: str) -> None:
        if operation == "PutObject" and "/slices/" in key:
            world.s3.clock.tick(40)

    world.s3.hook = time_passes
    advance(world.cloud, run)
    assert len([key for key in world.s3.objects if "/slices/" in key]) == 2
    assert world.open_runs() != []

    for _ in range(5):
        world.tick()
    assert world.open_runs() == []
