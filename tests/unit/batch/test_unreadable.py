"""One object that cannot be read is rejected with what to do; trouble with all of them never is."""

import json
from dataclasses import replace
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from botocore.exceptions import ClientError

from batch.claim import ContendedError
from batch.unreadable import denial_of
from domain.keys import LARGE_MARKERS, large_key, result_key
from domain.result import Classified, Rejected
from domain.route import ENDPOINT_BYTES
from domain.scope import Scope
from functions.endpoint.thumbnails import Thumbnails
from functions.messages import Advance, Reclassify, Start
from functions.on_page import PAGE_RECEIVES, ROW_RECEIVES
from tests.support.fakes.aws import error
from tests.support.fakes.sagemaker import no_one
from tests.support.fakes.unreadable import KINDS, Denied
from tests.support.worlds.folders import World as Folder
from tests.support.worlds.folders import with_late
from tests.support.worlds.uploads import World, active, notification, sqs_event

CAT, DOG = "inbox/cat.jpg", "inbox/dog.jpg"
RESTORED = "ObjectRestore:Completed"
OF_THE_KEY = [name for name in KINDS if name not in ("archived", "SSE-C")]


@pytest.fixture
def denied() -> Denied:
    return Denied()


@pytest.fixture
def world(denied: Denied) -> World:
    world = World()
    world.put(CAT, b"cat")
    world.put(DOG, b"dog")
    world.s3.hook = denied
    return world


def deliver(world: World, body: str, most: int = 5) -> int:
    """As the queue does; returns how often it was received."""
    for receives in range(1, most + 1):
        if not world.failed(body, receives=receives):
            return receives
    return most + 1


def rejection(world: World | Folder, key: str) -> Rejected:
    result = world.result(key)
    assert isinstance(result, Rejected)
    return result


@pytest.mark.parametrize("name", KINDS)
def test_a_single_that_cannot_be_read_is_rejected_with_what_to_do(
    world: World, denied: Denied, name: str
) -> None:
    denied.kinds[CAT] = KINDS[name]
    assert deliver(world, notification(CAT)) <= 3
    said = rejection(world, CAT)
    assert said.code == "unreadable"
    assert KINDS[name].says in said.message
    assert world.endpoint.requests == []


@pytest.mark.parametrize("name", OF_THE_KEY)
def test_what_denies_all_images_is_trouble_and_rejects_none(
    world: World, denied: Denied, name: str
) -> None:
    denied.kinds |= {CAT: KINDS[name], DOG: KINDS[name]}
    assert deliver(world, notification(CAT), most=30) == 31
    assert world.result(CAT) is None
    denied.kinds.clear()
    assert deliver(world, notification(CAT)) == 1
    assert isinstance(world.result(CAT), Classified)


@pytest.mark.parametrize("name", OF_THE_KEY)
def test_a_denial_that_may_be_of_all_is_not_believed_at_once(
    world: World, denied: Denied, name: str
) -> None:
    """A permission that is being given or taken is denied and granted in turns, for seconds."""
    denied.kinds[CAT] = KINDS[name]
    assert world.failed(notification(CAT), receives=2) == ["m1"]
    assert world.result(CAT) is None


def test_an_image_that_can_be_read_again_at_the_second_look_is_not_rejected(
    world: World, denied: Denied
) -> None:
    seen: list[str] = []

    def once(operation: str, key: str) -> None:
        if (operation, key) == ("GetObject", CAT):
            seen.append(key)
            if len(seen) == 2:
                denied.kinds.clear()

    denied.then = once
    denied.kinds[CAT] = KINDS["key of others"]
    assert world.failed(notification(CAT), receives=3) == ["m1"]
    assert world.result(CAT) is None


@pytest.mark.parametrize("name", OF_THE_KEY)
def test_a_process_that_reads_others_believes_a_denial_however_many_there_are(
    world: World, denied: Denied, name: str
) -> None:
    """Of one sender, before, behind and beside: each would be tried again for half a day."""
    bad = [f"inbox/!{number:02}.jpg" for number in range(30)]
    for key in bad:
        world.put(key, b"bad")
    denied.kinds |= dict.fromkeys(bad, KINDS[name])
    world.s3.page_size = 8
    process = world.intake()
    assert world.failed(notification(bad[0]), receives=3, process=process) == ["m1"]
    assert not world.failed(notification(CAT), process=process)
    assert not world.failed(notification(bad[0]), receives=4, process=process)
    assert rejection(world, bad[0]).code == "unreadable"
    denied.kinds[CAT] = KINDS[name]
    assert world.failed(notification(bad[1]), receives=4, process=process), "it is read anew"


@pytest.mark.parametrize("name", KINDS)
def test_a_restore_answers_what_was_unreadable(world: World, denied: Denied, name: str) -> None:
    denied.kinds[CAT] = KINDS[name]
    deliver(world, notification(CAT))
    denied.kinds.clear()
    world.failed(notification(CAT, RESTORED))
    assert isinstance(world.result(CAT), Classified)


@pytest.mark.parametrize("name", KINDS)
def test_the_next_event_of_an_unreadable_image_looks_again(
    world: World, denied: Denied, name: str
) -> None:
    denied.kinds[CAT] = KINDS[name]
    deliver(world, notification(CAT))
    before = world.s3.objects["outbox/cat.jpg.json"]
    deliver(world, notification(CAT))
    assert world.s3.objects["outbox/cat.jpg.json"] == before, "the same is not said again"
    denied.kinds.clear()
    world.put(CAT, b"cat")
    deliver(world, notification(CAT))
    assert isinstance(world.result(CAT), Classified)


def test_an_answer_stands_when_its_image_is_archived_later(world: World, denied: Denied) -> None:
    deliver(world, notification(CAT))
    denied.kinds[CAT] = KINDS["archived"]
    world.active_number = world.endpoint.number = 2
    assert deliver(world, notification(CAT)) == 1
    assert isinstance(world.result(CAT), Classified)


@pytest.mark.parametrize("name", KINDS)
def test_the_rejection_goes_with_its_image(world: World, denied: Denied, name: str) -> None:
    denied.kinds[CAT] = KINDS[name]
    deliver(world, notification(CAT))
    del denied.kinds[CAT]
    world.remove(CAT)
    deliver(world, notification(CAT, "LifecycleExpiration:DeleteMarkerCreated"))
    assert world.result(CAT) is None


@pytest.mark.parametrize(
    ("status", "code"),
    [
        *((404, "NoSuchKey"), (404, "NoSuchBucket"), (503, "SlowDown"), (500, "InternalError")),
        *((400, "KMS.ThrottlingException"), (400, "ExpiredToken"), (429, "TooManyRequests")),
        *((400, "RequestTimeout"), (403, "RequestTimeTooSkewed"), (409, "Conflict")),
    ],
)
def test_what_passes_by_itself_says_nothing_about_an_object(status: int, code: str) -> None:
    assert denial_of(error("GetObject", status, code)) is None


def test_that_kms_wants_another_request_is_not_said_of_one_object() -> None:
    """So S3 answers of every object under a KMS key, where the client does not use TLS."""
    raised = error("GetObject", 400, "InvalidArgument")
    raised.response["Error"]["Message"] = (
        "Requests specifying Server Side Encryption with AWS KMS managed keys must be made over a"
        " secure connection."
    )
    said = denial_of(raised)
    assert said is not None
    assert not said.certain


# folders

TRIP = tuple(f"inbox/trip/{number}.jpg" for number in range(1, 5))


@pytest.fixture
def folder(denied: Denied) -> Folder:
    folder = Folder(settings=with_late(3))
    folder.fill(*TRIP)
    folder.s3.hook = denied
    return folder


def rest(world: Folder, denied: Denied, rounds: int = 500) -> None:
    """As the queues do: what fails comes again, received once more. Jobs end at once.

    A job writes nothing for what is denied, and has failed then.
    """
    waiting: list[tuple[int, int]] = []
    for _ in range(rounds):
        waiting += [(number, 1) for number in range(world.delivered, len(world.sqs.sent))]
        world.delivered = len(world.sqs.sent)
        waiting = [
            (number, receives + 1)
            for number, receives in waiting
            if not _taken(world, number, receives)
        ]
        for name in world.sagemaker.running():
            world.sagemaker.end(name, answers=lambda key: key not in denied.kinds)
            detail = world.sagemaker.describe_transform_job(TransformJobName=name)
            event = {"source": "aws.sagemaker", "detail": detail}
            world.sqs.sent.append((world.settings.folder_queue_url, event, 0))
        if not waiting and world.delivered == len(world.sqs.sent):
            return
    raise AssertionError(f"not at rest after {rounds} receives")


def _taken(world: Folder, number: int, receives: int) -> bool:
    url, body, _ = world.sqs.sent[number]
    door = world.pages().accept if url.endswith("page") else world.folders().accept
    (received,) = sqs_event(json.dumps(body), receives=receives)["Records"]
    try:
        door(SQSRecord(received))
    except (ClientError, ContendedError):
        return False
    return True


@pytest.mark.parametrize("late", [0, 3])
@pytest.mark.parametrize("name", KINDS)
def test_a_folder_rejects_the_one_that_cannot_be_read_and_answers_the_rest(
    folder: Folder, denied: Denied, name: str, late: int
) -> None:
    folder.settings = with_late(late)
    denied.kinds[TRIP[1]] = KINDS[name]
    folder.send(Start("trip/"))
    rest(folder, denied)
    assert folder.status("trip/")["state"] == "finished"
    assert rejection(folder, TRIP[1]).code == "unreadable"
    assert len(folder.table("trip/")) == 3
    assert folder.summary("trip/")["codes"] == {"unreadable": 1}


@pytest.mark.parametrize("name", KINDS)
def test_a_job_that_one_image_fails_whole_does_not_fail_its_folder(
    folder: Folder, denied: Denied, name: str
) -> None:
    """SageMaker documents nowhere what a job does with an object that it may not read."""
    folder.settings = with_late(0)
    denied.kinds[TRIP[1]] = KINDS[name]
    folder.send(Start("trip/"))
    folder.drain()
    (job,) = folder.sagemaker.running()
    folder.sagemaker.end(job, answers=no_one)
    folder.send(Advance(Scope("trip/").token))
    rest(folder, denied)
    assert folder.status("trip/")["state"] == "finished"
    assert rejection(folder, TRIP[1]).code == "unreadable"
    assert len(folder.table("trip/")) == 3


@pytest.mark.parametrize("name", KINDS)
def test_an_image_restored_in_a_folder_is_answered_by_the_next_run(
    folder: Folder, denied: Denied, name: str
) -> None:
    denied.kinds[TRIP[1]] = KINDS[name]
    folder.send(Start("trip/"))
    rest(folder, denied)
    denied.kinds.clear()
    of_singles = World(s3=folder.s3)
    of_singles.failed(notification(TRIP[1], RESTORED))
    assert folder.result(TRIP[1]) is None
    folder.send(Start("trip/"))
    rest(folder, denied)
    assert isinstance(folder.result(TRIP[1]), Classified)
    assert len(folder.table("trip/")) == 4


@pytest.mark.parametrize("name", KINDS)
def test_a_report_and_a_sweep_end_though_an_answered_image_cannot_be_read_any_more(
    folder: Folder, denied: Denied, name: str
) -> None:
    folder.send(Start("trip/"))
    rest(folder, denied)
    before = folder.result(TRIP[1])
    denied.kinds[TRIP[1]] = KINDS[name]
    folder.promote(2)
    folder.send(Reclassify("", "renewal", confirmed=True))
    rest(folder, denied)
    assert folder.open_runs() == []
    assert folder.result(TRIP[1]) == before, "labels stand"
    folder.send(Start("trip/"))
    rest(folder, denied)
    assert len(folder.table("trip/")) == 4


@pytest.mark.parametrize("name", KINDS)
def test_an_answer_that_cannot_be_read_holds_up_no_report_of_the_others(
    folder: Folder, denied: Denied, name: str
) -> None:
    folder.answer(*TRIP)
    folder.s3.clock.tick(60)
    denied.kinds["outbox/trip/2.jpg.json"] = KINDS[name]
    folder.send(Start("trip/"))
    rest(folder, denied)
    assert folder.open_runs() == []
    assert len(folder.table("trip/")) == 3


@pytest.mark.parametrize("name", KINDS)
def test_no_thumbnail_of_an_image_that_cannot_be_read_and_the_next_is_asked_for(
    folder: Folder, denied: Denied, name: str
) -> None:
    denied.kinds |= dict.fromkeys(TRIP, KINDS[name])
    s3: Any = folder.s3
    endpoint: Any = folder.endpoint
    made = Thumbnails(s3, "bucket", endpoint, lambda: active(1))
    assert [made.of(key) for key in TRIP] == [None] * 4
    assert made.failures == 0


def test_a_row_that_fails_for_ever_is_given_up_and_its_page_is_not(
    folder: Folder, denied: Denied
) -> None:
    """Of whatever kind the trouble is: here a result that cannot be written."""

    def refuse(operation: str, key: str) -> None:
        if operation == "PutObject" and key == "outbox/trip/2.jpg.json":
            raise error("PutObject", 403, "AccessDenied")

    denied.then = refuse
    folder.send(Start("trip/"))
    rest(folder, denied, rounds=ROW_RECEIVES * 4)
    assert folder.status("trip/")["state"] == "failed"
    assert folder.status("trip/")["reason"] == "no answer after 3 attempts: 1 images"
    assert len(folder.table("trip/")) == 3
    assert folder.open_runs() == []


def test_a_page_that_is_tried_again_asks_only_about_what_is_left(
    folder: Folder, denied: Denied
) -> None:
    def refuse(operation: str, key: str) -> None:
        if operation == "PutObject" and key == "outbox/trip/2.jpg.json":
            raise error("PutObject", 503, "SlowDown")

    folder.limits = replace(folder.limits, page_rows=4)
    denied.then = refuse
    folder.send(Start("trip/"))
    folder.drain()
    (job,) = folder.sagemaker.running()
    folder.sagemaker.end(job)
    detail = folder.sagemaker.describe_transform_job(TransformJobName=job)
    folder.sqs.sent.append(
        (folder.settings.folder_queue_url, {"source": "aws.sagemaker", "detail": detail}, 0)
    )
    assert _taken(folder, len(folder.sqs.sent) - 1, 1)
    page = next(n for n, (url, _, _) in enumerate(folder.sqs.sent) if url.endswith("page"))
    assert not _taken(folder, page, 1)
    folder.s3.calls.clear()
    assert not _taken(folder, page, 2)
    assert sum(folder.s3.calls.values()) <= 20, folder.s3.calls
    denied.then = lambda operation, key: None
    assert _taken(folder, page, 3)
    assert len(folder.answered()) == 4


def test_a_page_of_which_nothing_can_be_done_ends_before_its_message_is_dead(
    folder: Folder, denied: Denied
) -> None:
    def refuse(operation: str, key: str) -> None:
        if (
            operation == "PutObject"
            and key.startswith("outbox/trip/")
            and key.endswith(".jpg.json")
        ):
            raise error("PutObject", 403, "AccessDenied")

    denied.then = refuse
    folder.limits = replace(folder.limits, page_rows=4)
    folder.send(Start("trip/"))
    rest(folder, denied, rounds=PAGE_RECEIVES * 3 + 50)
    assert folder.status("trip/")["state"] == "failed"
    assert folder.open_runs() == []


MANY = tuple(f"inbox/!evil/{number:02}.jpg" for number in range(30))


def upload_in_parts(world: Folder, *keys: str) -> None:
    """Their time is their start, so that planning looks at each."""
    for key in keys:
        world.put(key)
        stored = world.s3.objects[key]
        world.s3.objects[key] = replace(stored, etag=f"{stored.etag}-1")


@pytest.fixture
def outnumbered(folder: Folder) -> Folder:
    """More objects of one sender that nobody reads than are looked at, before all others."""
    upload_in_parts(folder, *MANY)
    folder.s3.page_size = 8
    folder.limits = replace(folder.limits, slice_rows=100, reclassify_rows=100, page_rows=50)
    folder.s3.clock.tick(3600)
    return folder


ALL_OF_IT = (Reclassify("", "unanswered", confirmed=True), Start("!evil/"))


@pytest.mark.parametrize("message", ALL_OF_IT)
def test_planning_passes_any_number_of_objects_that_only_their_uploader_can_read(
    outnumbered: Folder, denied: Denied, message: Reclassify | Start
) -> None:
    denied.kinds |= dict.fromkeys(MANY, KINDS["SSE-C"])
    outnumbered.send(message)
    rest(outnumbered, denied)
    assert outnumbered.open_runs() == []
    assert rejection(outnumbered, MANY[0]).code == "unreadable"


@pytest.mark.parametrize("message", ALL_OF_IT)
def test_planning_waits_for_an_hour_where_everything_may_be_denied(
    outnumbered: Folder, denied: Denied, message: Reclassify | Start
) -> None:
    denied.kinds |= dict.fromkeys(MANY, KINDS["policy"])
    outnumbered.send(message)
    with pytest.raises(ClientError):
        outnumbered.drain()
    outnumbered.s3.clock.tick(outnumbered.limits.planning_patience_seconds + 1)
    outnumbered.deliver()
    assert outnumbered.sagemaker.running()


@pytest.mark.parametrize("name", ["SSE-C", "policy"])
def test_large_singles_are_answered_beside_one_that_nobody_reads_any_more(
    outnumbered: Folder, denied: Denied, name: str
) -> None:
    """It could be read when its marker was written, and was replaced since."""
    bad, good = "inbox/!bad.jpg", "inbox/zoo.jpg"
    denied.kinds |= dict.fromkeys((bad, *MANY) if name == "SSE-C" else (bad,), KINDS[name])
    for key in (bad, good):
        outnumbered.put(key, bytes(ENDPOINT_BYTES + 1))
        outnumbered.put(large_key(key))
    outnumbered.send(Start(""))
    rest(outnumbered, denied)
    assert outnumbered.open_runs() == []
    assert isinstance(outnumbered.result(good), Classified)
    assert rejection(outnumbered, bad).code == "unreadable"
    assert not [key for key in outnumbered.s3.objects if key.startswith(LARGE_MARKERS)]
    manifest = outnumbered.sagemaker.images(str(outnumbered.jobs()[0]))
    assert manifest == [good], "what cannot be read may fail a job for all others"


# answers, tables and statuses that cannot be read


def test_a_folder_whose_answers_and_files_were_archived_is_answered_and_reported_on(
    folder: Folder, denied: Denied
) -> None:
    """A lifecycle rule of the customer's, for the whole bucket."""
    folder.send(Start("trip/"))
    rest(folder, denied)
    old = [key for key in folder.s3.objects if key.startswith("outbox/")]
    denied.kinds |= dict.fromkeys(old, KINDS["archived"])
    folder.s3.clock.tick(90 * 86_400)
    folder.fill("inbox/trip/5.jpg")
    folder.send(Start("trip/"))
    rest(folder, denied)
    assert folder.open_runs() == []
    assert folder.status("trip/")["state"] == "finished"
    assert [row["image"] for row in folder.table("trip/")] == ["inbox/trip/5.jpg"]
    assert folder.summary("trip/")["unlisted"] == 4


def test_a_table_whose_key_is_gone_holds_up_its_folder_for_a_day_at_most(
    folder: Folder, denied: Denied
) -> None:
    folder.send(Start("trip/"))
    rest(folder, denied)
    old = [key for key in folder.s3.objects if key.startswith("outbox/")]
    denied.kinds |= dict.fromkeys(old, KINDS["key that is gone"])
    folder.fill("inbox/trip/5.jpg")
    folder.send(Start("trip/"))
    with pytest.raises(AssertionError, match="not at rest"):
        rest(folder, denied, rounds=20)
    folder.s3.clock.tick(folder.limits.report_patience_seconds + 1)
    folder.tick()
    assert folder.open_runs() == []
    assert "inbox/trip/5.jpg" in [row["image"] for row in folder.table("trip/")]


def test_an_archived_answer_is_renewed(folder: Folder, denied: Denied) -> None:
    folder.send(Start("trip/"))
    rest(folder, denied)
    folder.s3.clock.tick(3600)
    denied.kinds |= {result_key(key): KINDS["archived"] for key in TRIP}
    folder.promote(2)
    folder.send(Reclassify("", "renewal", confirmed=True))
    rest(folder, denied)
    renewed = [folder.result(key) for key in TRIP]
    assert [each.by.model.version for each in renewed if each and each.by] == [2] * 4


def test_a_sweep_ends_though_a_long_named_answer_is_archived(
    folder: Folder, denied: Denied
) -> None:
    long = f"inbox/trip/{'x' * 1_010}.jpg"
    folder.fill(long)
    folder.send(Start("trip/"))
    rest(folder, denied)
    folder.remove(long)
    folder.s3.clock.tick(3600)
    denied.kinds[result_key(long)] = KINDS["archived"]
    folder.send(Reclassify("", "unanswered", confirmed=True))
    rest(folder, denied)
    assert folder.open_runs() == []


@pytest.mark.parametrize("name", ["archived", "SSE-C"])
def test_a_folder_of_nothing_else_than_what_nobody_reads_is_rejected_whole(
    folder: Folder, denied: Denied, name: str
) -> None:
    folder.settings = with_late(0)
    denied.kinds |= dict.fromkeys(TRIP, KINDS[name])
    folder.send(Start("trip/"))
    rest(folder, denied)
    assert folder.status("trip/")["state"] == "finished"
    assert folder.summary("trip/")["codes"] == {"unreadable": 4}
