"""What happens to an upload, told through on_upload's batch of messages."""

import json
from dataclasses import replace
from typing import Any

import pytest

from domain.keys import debounce_key, large_key
from domain.result import Classified, Rejected
from domain.route import ENDPOINT_BYTES, LARGE_BODY_BYTES
from domain.scope import LARGE_SINGLES, Scope
from tests.support.fakes.aws import error
from tests.support.worlds.uploads import SETTINGS, World, model, notification, sqs_event, what_is_on

CAT = "inbox/cat.jpg"


@pytest.fixture
def world() -> World:
    return World()


def test_a_single_is_answered_by_the_endpoint(world: World) -> None:
    world.put(CAT, b"cat")
    assert world.failed(notification(CAT)) == []
    result = world.result(CAT)
    assert isinstance(result, Classified)
    assert result.labels[0].label == what_is_on(b"cat")
    assert result.how.route == "endpoint"
    assert result.how.at == "2026-01-01T00:00:00Z"


def test_what_is_no_image_is_rejected_and_not_tried_again(world: World) -> None:
    world.put(CAT, b"junk")
    assert world.failed(notification(CAT)) == []
    result = world.result(CAT)
    assert isinstance(result, Rejected)
    assert (result.code, result.message) == ("not_an_image", "These bytes are not an image.")


def test_a_removed_single_loses_its_answer(world: World) -> None:
    world.put(CAT, b"cat")
    world.failed(notification(CAT))
    world.remove(CAT)
    world.failed(notification(CAT, "ObjectRemoved:DeleteMarkerCreated"))
    assert world.result(CAT) is None


DELETED, EXPIRED = "ObjectRemoved:DeleteMarkerCreated", "LifecycleExpiration:DeleteMarkerCreated"


@pytest.mark.parametrize(
    ("event", "setting", "is_kept"),
    [
        (EXPIRED, "remove", False),
        (EXPIRED, "keep", True),
        (DELETED, "remove", False),
        (DELETED, "keep", False),
    ],
)
def test_only_an_image_that_has_expired_keeps_its_answer_and_only_where_set(
    world: World, event: str, setting: str, is_kept: bool
) -> None:
    world.settings = replace(SETTINGS, expired_answers=setting)
    world.put(CAT, b"cat")
    world.failed(notification(CAT))
    world.remove(CAT)
    assert world.failed(notification(CAT, event)) == []
    assert (world.result(CAT) is not None) == is_kept


def test_a_folder_whose_images_expire_starts_no_run_where_answers_are_kept(world: World) -> None:
    """Its run would write a table without the images, and a million of them would come at once."""
    world.settings = replace(SETTINGS, expired_answers="keep")
    assert world.failed(notification("inbox/trip/1.jpg", EXPIRED)) == []
    assert world.sqs.sent == []


def test_a_removal_that_arrives_late_leaves_the_new_image_answered(world: World) -> None:
    world.put(CAT, b"cat")
    world.failed(notification(CAT, "ObjectRemoved:Delete"))
    assert world.result(CAT) is not None


@pytest.mark.parametrize("key", ["inbox/a b+c%.jpg", "inbox/кот.jpg", "inbox/🐈\n.jpg", "inbox/.."])
def test_an_odd_name_is_answered_under_its_own_key(world: World, key: str) -> None:
    world.put(key, b"cat")
    assert world.failed(notification(key)) == []
    result = world.result(key)
    assert result is not None
    assert result.image == key


def test_an_image_of_a_folder_is_a_beat_and_not_a_request(world: World) -> None:
    world.put("inbox/trip/day1/a.jpg", b"cat")
    assert world.failed(notification("inbox/trip/day1/a.jpg")) == []
    assert world.endpoint.requests == []
    beat = json.loads(world.s3.objects[debounce_key(Scope("trip/").token)].body)
    assert world.sqs.sent == [(SETTINGS.folder_queue_url, {"quiet": beat}, 60)]
    assert beat["path"] == "trip/"


def test_an_image_removed_from_a_folder_takes_its_answer_along(world: World) -> None:
    world.s3.put_object(Bucket="bucket", Key="outbox/trip/a.jpg.json", Body=b"{}")
    world.failed(notification("inbox/trip/a.jpg", "ObjectRemoved:Delete"))
    assert "outbox/trip/a.jpg.json" not in world.s3.objects
    assert world.sent("folder"), "the folder's report is to be written again"


def test_a_ready_marker_starts_its_folder_now(world: World) -> None:
    world.failed(notification("inbox/trip/_READY"))
    assert world.sqs.sent == [(SETTINGS.folder_queue_url, {"start": {"path": "trip/"}}, 0)]


def test_taking_the_marker_away_starts_nothing(world: World) -> None:
    world.failed(notification("inbox/trip/_READY", "ObjectRemoved:Delete"))
    assert world.sqs.sent == []


@pytest.mark.parametrize("key", ["inbox/", "inbox/trip/", "inbox/.DS_Store", "inbox/Thumbs.db"])
def test_a_system_file_is_ignored(world: World, key: str) -> None:
    world.put(key, b"")
    assert world.failed(notification(key)) == []
    assert world.sqs.sent == []
    assert world.s3.calls == {"PutObject": 1}


@pytest.mark.parametrize("size", [ENDPOINT_BYTES + 1, LARGE_BODY_BYTES + 1])
def test_a_single_too_large_for_the_endpoint_is_left_to_the_run_of_such(
    world: World, size: int
) -> None:
    world.put(CAT, b"x" * size)
    assert world.failed(notification(CAT)) == []
    assert world.endpoint.requests == []
    assert large_key(CAT) in world.s3.objects
    beat = json.loads(world.s3.objects[debounce_key(LARGE_SINGLES.token)].body)
    assert world.sqs.sent == [(SETTINGS.folder_queue_url, {"quiet": beat}, 60)]


@pytest.mark.parametrize("key", ["inbox/line\nbreak.jpg", "inbox/..", f"inbox/{'x' * 900}.jpg"])
def test_one_that_no_job_takes_either_is_rejected_at_once(world: World, key: str) -> None:
    world.put(key, b"x" * (ENDPOINT_BYTES + 1))
    assert world.failed(notification(key)) == []
    result = world.result(key)
    assert isinstance(result, Rejected)
    assert result.code == "too_large"
    assert "Rename it" in result.message
    assert world.sqs.sent == []


def test_a_single_of_just_the_endpoints_size_is_answered_by_it(world: World) -> None:
    world.put(CAT, b"x" * ENDPOINT_BYTES)
    world.failed(notification(CAT))
    assert world.result(CAT) is not None


def test_an_endpoint_in_trouble_costs_no_answers(world: World) -> None:
    def throttle() -> None:
        raise error("InvokeEndpoint", 400, "ThrottlingException")

    world.put(CAT, b"cat")
    world.endpoint.trouble = throttle
    assert world.failed(notification(CAT)) == ["m1"]
    assert world.result(CAT) is None
    world.endpoint.trouble = lambda: None
    assert world.failed(notification(CAT), receives=2) == []
    assert world.result(CAT) is not None


@pytest.mark.parametrize("bad", ["inbox/a.jpg", "inbox/b.jpg"])
def test_of_a_message_that_tells_of_several_images_the_others_are_answered(
    world: World, bad: str
) -> None:
    """S3's message may tell of several, and it comes again as long as one of them fails."""
    keys = ["inbox/a.jpg", "inbox/b.jpg", "inbox/c.jpg"]

    def refuse(operation: str, key: str) -> None:
        if (operation, key) == ("GetObject", bad):
            raise error("GetObject", 500, "InternalError")

    for key in keys:
        world.put(key, key.encode())
    world.s3.hook = refuse
    records = [json.loads(notification(key))["Records"][0] for key in keys]
    assert world.failed(json.dumps({"Records": records})) == ["m1"]
    assert [key for key in keys if world.result(key)] == [key for key in keys if key != bad]


def test_an_answer_by_a_model_that_is_not_active_is_looked_at_again(world: World) -> None:
    world.put(CAT, b"cat")
    world.endpoint.number = 2
    assert world.failed(notification(CAT)) == []
    assert world.sqs.sent == [(SETTINGS.inbox_queue_url, {"look": {"key": CAT, "again": 1}}, 60)]
    world.active_number = 2
    assert world.failed(json.dumps(world.sent("inbox")[0])) == []
    assert len(world.endpoint.requests) == 1, "its answer turned out to be the active model's"


def test_looking_again_ends_after_the_third_time(world: World) -> None:
    world.put(CAT, b"cat")
    world.endpoint.number = 2
    world.failed(json.dumps({"look": {"key": CAT, "again": 3}}))
    assert world.sqs.sent == []
    result = world.result(CAT)
    assert result is not None
    assert result.by is not None
    assert result.by.model == model(2)


def test_without_an_active_model_uploads_wait_in_the_queue(world: World) -> None:
    def none() -> Any:
        raise LookupError("no model is active")

    world.put(CAT, b"cat")
    uploads = world.uploads()
    intake = replace(
        world.intake(), accept=replace(uploads, outbox=replace(uploads.outbox, active=none)).accept
    )
    failures = intake(sqs_event(notification(CAT)))["batchItemFailures"]
    assert failures == [{"itemIdentifier": "m1"}]
