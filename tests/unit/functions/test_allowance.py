"""Who drops a great many singles at once is answered after others, and loses nothing by it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from domain.keys import result_key
from domain.result import Classified, How, Rejected, Source, metadata, to_json
from functions.allowance import (
    ALLOWANCES_PER_IDENTITY,
    MOST_UPLOADERS,
    UNKNOWN_UPLOADER,
    Allowances,
    UploadCounts,
    Uploader,
)
from functions.messages import Changed, parse_inbox
from functions.on_upload import Uploads, make_batch
from tests.support.worlds.folders import record
from tests.support.worlds.uploads import SETTINGS, World, notification, sqs_event

MANY, FEW = Uploader("AWS:AIDAMANY", "10.0.0.1"), Uploader("AWS:AIDAFEW", "10.0.0.2")


def event_by(uploader: Uploader, key: str, kind: str = "ObjectCreated:Put") -> str:
    told = json.loads(notification(key, kind))
    told["Records"][0] |= {
        "userIdentity": {"principalId": uploader.principal},
        "requestParameters": {"sourceIPAddress": uploader.address},
    }
    return json.dumps(told)


def test_an_uploader_is_noisy_from_its_allowance_on_until_a_quiet_minute_has_passed() -> None:
    at = 0.0
    allowances = Allowances(3, lambda: at)
    assert [allowances.has_more(MANY) for _ in range(5)] == [True, True, True, False, False]
    at = 60.0
    assert not allowances.has_more(MANY), "a trickle of a flood would hold up the lane again"
    assert allowances.has_more(FEW)
    at = 120.0
    assert allowances.has_more(MANY)
    at = 1_000_000.0
    assert allowances.has_more(MANY)
    at = 0.0
    assert allowances.has_more(MANY), "nor does a clock that was set back matter"


def test_people_behind_one_role_have_allowances_of_their_own() -> None:
    allowances = Allowances(3, lambda: 0.0)
    one, two = (Uploader(f"AWS:AROAWEB:{name}", "10.0.0.1") for name in ("one", "two"))
    for _ in range(10):
        allowances.has_more(one)
    assert not allowances.has_more(one)
    assert allowances.has_more(two)
    assert allowances.has_more(replace(one, address="10.0.0.9"))


def test_whoever_has_a_name_for_each_image_has_a_few_allowances_and_no_more() -> None:
    """The session's name and the address are the uploader's to choose; the role's id is not."""
    allowances = Allowances(10, lambda: 0.0)
    passed = sum(
        allowances.has_more(Uploader(f"AWS:AROABAD:{number}", f"10.0.{number}"))
        for number in range(MOST_UPLOADERS + 1_000)
    )
    assert passed == 10 * ALLOWANCES_PER_IDENTITY
    assert allowances.has_more(FEW)


@pytest.mark.parametrize("told", ["AWS:AROABAD:{}", "AROABAD:{}", "AWS:111122223333:{}"])
def test_a_sessions_name_is_left_out_in_whatever_form_the_event_tells_it(told: str) -> None:
    assert len({Uploader(told.format(name)).identity for name in ("one", "two")}) == 1


def test_those_who_are_no_identities_of_iams_are_told_apart() -> None:
    assert Uploader("AmazonCustomer:A1").identity != Uploader("AmazonCustomer:A2").identity
    assert Uploader("AWS:AIDAMANY").identity == Uploader("AIDAMANY").identity


def test_what_is_remembered_is_bounded() -> None:
    counts = UploadCounts()
    for number in range(MOST_UPLOADERS + 10):
        counts.add(number, 0)
    assert len(counts._counts) == MOST_UPLOADERS


@pytest.mark.parametrize("told", [{}, {"userIdentity": 1}, {"userIdentity": {"principalId": None}}])
def test_an_event_that_does_not_tell_is_nobodys_and_is_read_all_the_same(told: Any) -> None:
    event = json.loads(notification("inbox/a.jpg"))
    event["Records"][0] |= told
    assert parse_inbox(json.dumps(event)) == (
        Changed("inbox/a.jpg", False, uploader=UNKNOWN_UPLOADER),
    )


def test_a_group_is_one_that_sqs_takes_whatever_the_identity() -> None:
    assert Uploader("AWS:AROA:one").group == Uploader("AWS:AROA:two").group
    assert MANY.group != FEW.group
    for uploader in (UNKNOWN_UPLOADER, MANY, Uploader("ü \n" * 1_000)):
        assert uploader.group.isalnum()
        assert len(uploader.group) <= 128


class Scene:
    """A process that allows two singles of an uploader a minute."""

    def __init__(self) -> None:
        self.world = World()
        allowances = Allowances(2, lambda: 0.0)
        self.uploads: Uploads = replace(self.world.uploads(), allowances=allowances)

    def take(self, body: str) -> None:
        self.uploads.accept(record(body))


def test_what_is_more_is_moved_and_answered_from_the_backlog() -> None:
    scene = Scene()
    keys = [f"inbox/{number}.jpg" for number in range(4)]
    for key in keys:
        scene.world.put(key, key.encode())
        scene.take(event_by(MANY, key))
    assert [key for key in keys if scene.world.result(key)] == keys[:2]
    moved = scene.world.sent("backlog")
    assert [each["moved"]["key"] for each in moved] == keys[2:]
    for each in moved:
        scene.take(json.dumps(each))
    assert [key for key in keys if scene.world.result(key)] == keys
    assert len(scene.world.sent("backlog")) == 2, "what was moved once is answered"


def test_removals_of_archives_count_as_those_of_images_in_folders_do() -> None:
    """Each has its rejection looked for and deleted; a new archive costs a message only."""
    scene = Scene()
    for number in range(4):
        scene.take(event_by(MANY, f"inbox/{number}.zip"))
    assert scene.world.sent("backlog") == []
    for number in range(4):
        scene.take(event_by(MANY, f"inbox/{number}.zip", "ObjectRemoved:Delete"))
    moved = [each["moved"]["key"] for each in scene.world.sent("backlog")]
    assert moved == ["inbox/2.zip", "inbox/3.zip"]


def test_another_is_answered_at_once_meanwhile() -> None:
    scene = Scene()
    for number in range(20):
        scene.take(event_by(MANY, f"inbox/{number}.jpg"))
    scene.world.put("inbox/few.jpg", b"cat")
    scene.take(event_by(FEW, "inbox/few.jpg"))
    assert scene.world.result("inbox/few.jpg")


def test_moving_costs_no_call_of_s3() -> None:
    scene = Scene()
    for number in range(3):
        scene.take(event_by(MANY, f"inbox/{number}.jpg"))
    scene.world.s3.calls.clear()
    scene.take(event_by(MANY, "inbox/9.jpg"))
    assert scene.world.s3.calls == {}


def test_removals_are_moved_and_followed_too() -> None:
    scene = Scene()
    for number in range(3):
        key = f"inbox/trip/{number}.jpg"
        scene.world.s3.put_object(Bucket="bucket", Key=result_key(key), Body=b"{}")
        scene.take(event_by(MANY, key, "ObjectRemoved:Delete"))
    (moved,) = scene.world.sent("backlog")
    assert result_key("inbox/trip/2.jpg") in scene.world.s3.objects
    scene.take(json.dumps(moved))
    assert result_key("inbox/trip/2.jpg") not in scene.world.s3.objects


def test_what_costs_next_to_nothing_is_not_counted() -> None:
    scene = Scene()
    for number in range(20):
        scene.take(event_by(MANY, f"inbox/trip/{number}.jpg"))
        scene.take(event_by(MANY, "inbox/trip/_READY"))
    assert scene.world.sent("backlog") == []


def test_messages_that_fail_are_put_off_in_the_queue_they_came_from() -> None:
    world = World()
    sqs: Any = world.sqs
    take = make_batch(SETTINGS, sqs, world.uploads())
    for queue in ("inbox", "backlog"):
        event = sqs_event("no JSON")
        event["Records"][0]["eventSourceARN"] = f"arn:aws:sqs:eu-west-1:1:{queue}"
        assert take(event)["batchItemFailures"] == [{"itemIdentifier": "m1"}]
    assert [url for url, _, _ in world.sqs.visibility] == [
        SETTINGS.inbox_queue_url,
        SETTINGS.backlog_queue_url,
    ]


def test_restored_images_are_moved_and_looked_at_again_too() -> None:
    """A batch operation restores a million at once."""
    scene = Scene()
    for number in range(3):
        key = f"inbox/{number}.jpg"
        scene.world.put(key, key.encode())
        scene.take(event_by(MANY, key, "ObjectRestore:Completed"))
    (moved,) = scene.world.sent("backlog")
    assert scene.world.result("inbox/1.jpg")
    assert scene.world.result("inbox/2.jpg") is None
    standing = Rejected(
        "inbox/2.jpg",
        Source("bucket", scene.world.s3.objects["inbox/2.jpg"].etag, None, 1),
        None,
        How("endpoint", None, 1, "2026-01-01T00:00:00Z"),
        "unreadable",
        "archived",
    )
    scene.world.s3.put_object(
        Bucket="bucket",
        Key=result_key("inbox/2.jpg"),
        Body=to_json(standing),
        Metadata=metadata(standing),
    )
    scene.take(json.dumps(moved))
    assert isinstance(scene.world.result("inbox/2.jpg"), Classified)


def test_of_a_folders_restored_images_each_counts() -> None:
    """Each takes its rejection away, whenever the folder's last beat was."""
    scene = Scene()
    for number in range(4):
        scene.take(event_by(MANY, f"inbox/trip/{number}.jpg", "ObjectRestore:Completed"))
    moved = [each["moved"]["key"] for each in scene.world.sent("backlog")]
    assert moved == ["inbox/trip/2.jpg", "inbox/trip/3.jpg"]


def test_a_message_that_was_moved_before_restores_were_is_read() -> None:
    told = {"moved": {"key": "inbox/a", "removed": True, "size": None}}
    assert parse_inbox(json.dumps(told)) == (Changed("inbox/a", True, moved=True),)


def test_an_image_in_a_folder_counts_where_its_beat_costs_something() -> None:
    """A million folders of one image are as many beats; a folder of a million is a few."""
    scene = Scene()
    for number in range(20):
        scene.take(event_by(MANY, f"inbox/trip/{number}.jpg"))
    assert scene.world.sent("backlog") == []
    for number in range(4):
        scene.take(event_by(MANY, f"inbox/f{number}/1.jpg"))
    moved = scene.world.sent("backlog")
    assert [each["moved"]["key"] for each in moved] == [f"inbox/f{n}/1.jpg" for n in (1, 2, 3)]
    scene.take(json.dumps(moved[0]))
    assert [each["quiet"]["path"] for each in scene.world.sent("folder")] == ["trip/", "f0/", "f1/"]
