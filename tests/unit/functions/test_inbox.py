"""An answer follows its image's version: a pair of images with one MD5 shares none."""

from dataclasses import replace

import pytest

from domain.result import (
    MODEL_ID,
    SOURCE_ETAG,
    Classified,
    Result,
    Version,
    metadata,
    source_version,
)
from functions.inbox import Image
from tests.support.builders.collisions import ONE, OTHER
from tests.support.fakes.desk import Desk, by
from tests.support.fakes.sagemaker import no_one
from tests.support.worlds.folders import World as Folder
from tests.support.worlds.folders import with_late
from tests.support.worlds.uploads import World, notification, what_is_on

CAT, IN_TRIP = "inbox/cat.jpg", "inbox/trip/cat.jpg"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Version("e", "v1"), Version("e", "v1"), True),
        (Version("e", "v1"), Version("e", "v2"), False),
        (Version("e", None), Version("e", "v2"), True),
        (Version("e", None), Version("f", "v2"), False),
        (Version("e", ""), Version("e", ""), True),
        (Version("e", "null"), Version("e", "null"), True),
        (Version("e", "null"), Version("f", "null"), False),
        (Version("e", "null"), Version("e", "v1"), False),
    ],
)
def test_a_version_id_decides_where_both_have_one_and_an_etag_otherwise(
    one: Version, other: Version, same: bool
) -> None:
    """While versioning is suspended S3 calls every version `null`: that tells nothing apart."""
    assert one.is_same(other) is same
    assert other.is_same(one) is same


def label_of(world: World | Folder, key: str) -> str:
    result = world.result(key)
    assert isinstance(result, Classified)
    return result.labels[0].label


def test_a_single_overwritten_by_other_bytes_of_its_md5_is_answered_anew() -> None:
    world = World()
    for content in (ONE, OTHER):
        world.put(CAT, content)
        world.failed(notification(CAT))
        assert label_of(world, CAT) == what_is_on(content)


def test_a_result_that_is_removed_goes_with_its_version_and_not_with_its_md5() -> None:
    world = World()
    world.put(CAT, ONE)
    world.failed(notification(CAT))
    before = world.s3.objects[CAT]
    world.put(CAT, OTHER)
    world.failed(notification(CAT))
    world.s3.objects[CAT] = before  # somebody deleted the newer version
    world.failed(notification(CAT, "ObjectRemoved:Delete"))
    assert label_of(world, CAT) == what_is_on(ONE)


def test_an_image_that_changes_under_the_write_is_answered_as_it_is_then() -> None:
    desk = Desk()
    desk.upload(ONE)
    desk.before("PutObject", lambda: desk.upload(OTHER))
    seen: list[str | None] = []

    def answer(image: Image) -> Result | None:
        seen.append(image.source.version_id)
        return by(1)(image)

    desk.reconcile(answer)
    stands = desk.stands()
    assert stands is not None
    assert source_version(stands).id == seen[-1]
    assert len(seen) == 2, "the version that was looked at first is gone by the time of the write"


def test_a_folders_image_overwritten_by_other_bytes_of_its_md5_is_answered_anew() -> None:
    world = Folder()
    world.put(IN_TRIP, ONE)
    world.run("trip/")
    assert label_of(world, IN_TRIP) == what_is_on(ONE)

    world.put(IN_TRIP, OTHER)
    world.run("trip/")

    assert label_of(world, IN_TRIP) == what_is_on(OTHER)
    assert [row["label"] for row in world.table("trip/")] == [what_is_on(OTHER)]


@pytest.mark.parametrize("late", [0, 3])
def test_an_image_that_changes_while_its_job_runs_is_not_answered_by_it(late: int) -> None:
    """Within the same second, so that neither the MD5 nor the time would tell."""
    world = Folder(settings=with_late(late))
    world.put(IN_TRIP, ONE)
    world.fill("inbox/trip/dog.jpg")
    world.start("trip/")
    (job,) = world.sagemaker.running()
    world.sagemaker.end(job)  # has read what was there
    world.put(IN_TRIP, OTHER)
    seconds = {world.s3.objects[IN_TRIP].last_modified.replace(microsecond=0)}
    assert seconds == {world.s3.objects["inbox/trip/dog.jpg"].last_modified.replace(microsecond=0)}
    world.changed(job)
    world.finish_jobs()
    assert label_of(world, IN_TRIP) == what_is_on(OTHER)


def test_a_table_forgets_a_label_of_the_md5_whose_image_could_not_be_answered() -> None:
    world = Folder(settings=with_late(0))
    world.put(IN_TRIP, ONE)
    world.run("trip/")
    world.s3.clock.tick(60)
    world.put(IN_TRIP, OTHER)
    world.start("trip/")
    (job,) = world.sagemaker.running()
    world.sagemaker.end(job, no_one, "Failed")
    world.changed(job)
    assert world.status("trip/")["state"] == "failed"
    assert world.table("trip/") == []
    assert world.summary("trip/")["unanswered"] == 1


def test_a_result_from_before_versions_were_noted_stands_by_its_etag() -> None:
    world = World()
    world.put(CAT, b"cat")
    world.failed(notification(CAT))
    stored = world.s3.objects["outbox/cat.jpg.json"]
    old = {name: stored.metadata[name] for name in (SOURCE_ETAG, MODEL_ID, "status")}
    world.s3.objects["outbox/cat.jpg.json"] = replace(stored, metadata=old)
    world.failed(notification(CAT))
    assert world.endpoint.requests == [b"cat"]


def test_a_result_notes_the_version_it_is_about() -> None:
    world = World()
    world.put(CAT, b"cat")
    world.failed(notification(CAT))
    result = world.result(CAT)
    assert result is not None
    assert source_version(metadata(result)) == result.source.version
    assert result.source.version_id == world.s3.objects[CAT].version_id
