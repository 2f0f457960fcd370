"""An image that times out three times, while a tiny picture is answered, is too expensive."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from botocore.exceptions import ReadTimeoutError

from domain.keys import SINGLES, large_key, result_key, timeouts_key
from domain.reply import PROBE, Refused, Server, to_json
from domain.result import Classified, Rejected
from domain.route import SERVERLESS_BYTES
from functions.endpoint.expensive import is_timeout
from functions.messages import Start
from tests.support.fakes.aws import error
from tests.support.fakes.sagemaker import no_one
from tests.support.worlds.folders import SMALL, with_late
from tests.support.worlds.folders import World as Folder
from tests.support.worlds.uploads import (
    FakeEndpoint,
    World,
    model,
    model_error,
    notification,
    sqs_event,
)

SLOW, CAT = "inbox/slow.jpg", "inbox/cat.jpg"


def read_timeout() -> Exception:
    return ReadTimeoutError(endpoint_url="https://runtime")


def of_the_container(status: int) -> Callable[[], Exception]:
    return lambda: model_error(status, "Your invocation timed out while waiting for a response")


TIMEOUTS = {
    "read": read_timeout,
    "container's own": of_the_container(500),
    "container died": of_the_container(0),
}


class Endpoint(FakeEndpoint):
    """Takes too long over some bytes; `is_down`: over all."""

    trouble_with: Callable[[], Exception] = staticmethod(read_timeout)
    is_down = False

    def invoke_endpoint(self, **request: Any) -> dict[str, Any]:
        if self.is_down or request["Body"].startswith(b"slow"):
            raise self.trouble_with()
        return super().invoke_endpoint(**request)


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


@pytest.fixture
def world(endpoint: Endpoint) -> World:
    world = World(endpoint=endpoint)
    world.put(SLOW, b"slow")
    return world


@pytest.mark.parametrize("name", TIMEOUTS)
def test_the_third_timeout_of_an_image_rejects_it(
    world: World, endpoint: Endpoint, name: str
) -> None:
    endpoint.trouble_with = TIMEOUTS[name]
    assert world.failed(notification(SLOW)) == ["m1"]
    assert world.failed(notification(SLOW), receives=2) == ["m1"]
    assert world.result(SLOW) is None
    assert world.failed(notification(SLOW), receives=3) == []
    result = world.result(SLOW)
    assert isinstance(result, Rejected)
    assert result.code == "too_expensive"
    assert "smaller" in result.message
    assert endpoint.requests == [PROBE] * 3
    assert world.failed(notification(SLOW)) == [], "it is not asked for again"


@pytest.mark.parametrize("name", TIMEOUTS)
def test_an_endpoint_that_answers_nothing_rejects_nothing(
    world: World, endpoint: Endpoint, name: str
) -> None:
    endpoint.trouble_with, endpoint.is_down = TIMEOUTS[name], True
    for receives in range(1, 10):
        assert world.failed(notification(SLOW), receives=receives) == ["m1"]
    assert world.result(SLOW) is None
    assert timeouts_key(SLOW) not in world.s3.objects


def test_another_version_and_another_model_are_counted_from_the_beginning(world: World) -> None:
    for _ in range(2):
        world.failed(notification(SLOW))
    world.put(SLOW, b"slow")
    for _ in range(2):
        assert world.failed(notification(SLOW)) == ["m1"]
    world.active_number = 2
    for _ in range(2):
        assert world.failed(notification(SLOW)) == ["m1"]
    assert world.failed(notification(SLOW)) == []


def test_an_image_that_is_answered_in_the_end_is_answered(world: World, endpoint: Endpoint) -> None:
    for _ in range(2):
        world.failed(notification(SLOW))
    endpoint.is_down = False
    world.put(SLOW, b"quick")
    assert world.failed(notification(SLOW)) == []
    assert isinstance(world.result(SLOW), Classified)


@pytest.mark.parametrize(
    "trouble",
    [
        model_error(503, "busy"),
        model_error(429, "busy"),
        model_error(415, "no image"),
        error("InvokeEndpoint", 500, "InternalFailure"),
        error("InvokeEndpoint", 503, "ServiceUnavailable"),
        error("InvokeEndpoint", 429, "ThrottlingException"),
        error("InvokeEndpoint", 400, "ValidationError"),
        error("InvokeEndpoint", 403, "AccessDeniedException"),
        ValueError("no reply"),
    ],
)
def test_other_trouble_of_the_endpoint_is_no_timeout(trouble: Exception) -> None:
    assert not is_timeout(trouble)


# folders

LATE = ("inbox/trip/cat.jpg", "inbox/trip/slow.jpg")


def is_taken(world: Folder, number: int, receives: int) -> bool:
    url, body, _ = world.sqs.sent[number]
    door = world.pages().accept if url.endswith("page") else world.folders().accept
    (received,) = sqs_event(json.dumps(body), receives=receives)["Records"]
    try:
        door(SQSRecord(received))
    except ReadTimeoutError:
        return False
    return True


def test_a_late_row_is_rejected_at_its_third_timeout_and_its_neighbours_are_asked_once(
    endpoint: Endpoint,
) -> None:
    world = Folder(endpoint=endpoint, settings=with_late(3))
    world.put("outbox/trip/_summary.json", b"{}")
    world.put(LATE[0], b"cat")
    world.put(LATE[1], b"slow")
    world.send(Start("trip/"))
    world.deliver()
    page = next(n for n, (url, _, _) in enumerate(world.sqs.sent) if url.endswith("page"))
    assert [is_taken(world, page, receives) for receives in (1, 2, 3)] == [False, False, True]
    result = world.result(LATE[1])
    assert isinstance(result, Rejected)
    assert result.code == "too_expensive"
    assert isinstance(world.result(LATE[0]), Classified)
    assert endpoint.requests.count(b"cat") == 1


@pytest.mark.parametrize("beside", [True, False])
def test_a_large_image_that_no_job_answers_is_rejected_and_its_folder_ends(
    endpoint: Endpoint, beside: bool
) -> None:
    """Too large for the endpoint, it is alone in its job, first and last."""
    world = Folder(endpoint=endpoint)
    world.fill("inbox/trip/1.jpg", "inbox/trip/2.jpg")
    large = "inbox/trip/large.jpg"
    world.put(large, b"slow" + bytes(6_300_000))
    world.start("trip/")
    for _ in range(4):
        for job in world.sagemaker.running():
            world.sagemaker.end(job, lambda key: beside and key != large)
            world.changed(job)
    assert world.open_runs() == []
    result = world.result(large)
    if beside:
        assert isinstance(result, Rejected)
        assert (result.code, result.how.route) == ("too_expensive", "batch")
        assert world.status("trip/")["state"] == "finished"
        assert len(world.table("trip/")) == 2
    else:
        assert result is None, "jobs that answer nothing at all are trouble of ours"
        assert world.status("trip/")["state"] == "failed"


def test_cold_starts_of_a_serverless_endpoint_do_not_count_against_an_image_of_a_job(
    endpoint: Endpoint,
) -> None:
    """The job that takes it over may end at another image, and not even have tried this one."""
    world = Folder(endpoint=endpoint, mode="serverless", limits=replace(SMALL, page_rows=50))
    door = World(s3=world.s3, sqs=world.sqs, endpoint=endpoint, mode="serverless")
    world.put(SLOW, b"slow")
    for receives in (1, 2):
        assert door.failed(notification(SLOW), receives=receives) == ["m1"]
    assert door.failed(notification(SLOW), receives=3) == [], "it is left to a job"
    for key in ("inbox/1.jpg", "inbox/2.jpg"):
        world.put(key, key.encode() + bytes(SERVERLESS_BYTES))
        assert door.failed(notification(key)) == []
    world.drain()
    (job,) = world.sagemaker.running()
    world.sagemaker.end(job, lambda key: key != SLOW)
    world.changed(job)
    assert world.result(SLOW) is None, "the first job that does not answer it proves nothing"
    end_jobs(world, lambda key: True)
    assert isinstance(world.result(SLOW), Classified)


def test_what_a_serverless_container_calls_too_expensive_is_rejected_at_once(
    endpoint: Endpoint,
) -> None:
    """It says so of a decompression bomb, by the same code: a job would say it minutes later."""
    server = Server(str(model(1)), "sha256:container")
    says = to_json(Refused(server, "too_expensive", "It needs too much memory."))
    endpoint.trouble_with = lambda: model_error(422, says)
    door = World(endpoint=endpoint, mode="serverless")
    door.put(SLOW, b"slow")
    assert door.failed(notification(SLOW)) == []
    result = door.result(SLOW)
    assert isinstance(result, Rejected)
    assert result.code == "too_expensive"


HEAVY = "inbox/heavy.jpg"
OF_AN_IMAGE = "ClientError: see the log"
"""Why SageMaker says that a job failed on an image."""


def drop_heavy(world: Folder) -> None:
    """A single that the endpoint does not take, and its run, to its end."""
    world.put(HEAVY, b"slow" + bytes(6_300_000))
    start_heavy(world)


def start_heavy(
    world: Folder,
    answered: Callable[[str], bool] = lambda key: key != HEAVY,
    reason: str = OF_AN_IMAGE,
) -> None:
    world.put(large_key(HEAVY))
    world.start("")
    end_jobs(world, answered, reason)


def end_jobs(world: Folder, answered: Callable[[str], bool], reason: str = OF_AN_IMAGE) -> None:
    for _ in range(6):
        for job in world.sagemaker.running():
            world.sagemaker.end(job, answered, reason=reason)
            world.changed(job)
    assert world.open_runs() == []


def test_a_large_single_alone_in_the_inbox_is_rejected_within_its_run(endpoint: Endpoint) -> None:
    """Its first job proves nothing; three more have our own picture beside it, and answer that."""
    world = Folder(endpoint=endpoint)
    drop_heavy(world)
    result = world.result(HEAVY)
    assert isinstance(result, Rejected)
    assert (result.code, result.how.route, result.how.attempt) == ("too_expensive", "batch", 4)
    assert world.status("_singles/")["state"] == "finished"
    first, *others = (world.sagemaker.images(str(job)) for job in world.jobs())
    companion, last = sorted({key for keys in others for key in keys} - {HEAVY})
    assert first == [HEAVY]
    assert others == [[companion, HEAVY, last]] * 3, "an image may be the end of its container"
    assert world.s3.objects[companion].body == world.s3.objects[last].body == PROBE


def test_the_answer_about_the_companion_is_published_nowhere(endpoint: Endpoint) -> None:
    world = Folder(endpoint=endpoint)
    drop_heavy(world)
    published = {key for key in world.s3.objects if key.startswith("outbox/")}
    assert {key for key in published if not key.startswith(SINGLES)} == {result_key(HEAVY)}
    texts = b"".join(world.s3.objects[key].body for key in published)
    assert b"companion" not in texts


@pytest.mark.parametrize("count", [1, 4])
def test_a_folder_of_large_images_that_no_job_answers_ends_in_one_run(
    endpoint: Endpoint, count: int
) -> None:
    world = Folder(endpoint=endpoint)
    larges = [f"inbox/trip/day {number}/large.jpg" for number in range(count)]
    for key in larges:
        world.put(key, b"slow" + bytes(6_300_000))
    world.start("trip/")
    end_jobs(world, lambda key: key not in larges)
    results = [world.result(key) for key in larges]
    assert {result.code for result in results if isinstance(result, Rejected)} == {"too_expensive"}
    assert None not in results
    assert world.status("trip/")["state"] == "finished"


def test_images_behind_the_one_that_ends_its_job_are_not_counted(endpoint: Endpoint) -> None:
    """They may never have been tried: the first of them is what a job of one request ended at."""
    world = Folder(endpoint=endpoint)
    larges = [f"inbox/trip/day {number}/large.jpg" for number in range(4)]
    for key in larges:
        world.put(key, b"slow" + bytes(6_300_000))
    world.start("trip/")
    end_jobs(world, lambda key: key not in larges and "last/" not in key)
    assert isinstance(world.result(larges[0]), Rejected)
    assert [world.result(key) for key in larges[1:]] == [None] * 3
    assert not {timeouts_key(key) for key in larges[1:]} & set(world.s3.objects)


def test_a_failure_of_aws_is_counted_against_no_image(endpoint: Endpoint) -> None:
    """Not even where the job had begun to answer."""
    world = Folder(endpoint=endpoint)
    world.put(HEAVY, b"slow" + bytes(6_300_000))
    start_heavy(world, lambda key: key != HEAVY, "InternalServerError: please try again")
    assert timeouts_key(HEAVY) not in world.s3.objects
    assert world.result(HEAVY) is None


def test_jobs_that_do_not_answer_the_companion_either_are_trouble_and_reject_nobody(
    endpoint: Endpoint,
) -> None:
    world = Folder(endpoint=endpoint)
    world.put(HEAVY, b"slow" + bytes(6_300_000))
    for _ in range(4):
        start_heavy(world, no_one)
    assert world.result(HEAVY) is None
    assert "answered nothing" in world.status("_singles/")["reason"]
    assert timeouts_key(HEAVY) not in world.s3.objects


def test_a_job_counts_against_an_image_only_with_its_own_companion_answered(
    endpoint: Endpoint,
) -> None:
    """That an earlier job of the run was well says nothing about this one."""
    world = Folder(endpoint=endpoint)
    world.put(HEAVY, b"slow" + bytes(6_300_000))
    start_heavy(world, lambda key: key != HEAVY and len(world.jobs()) == 2)
    assert world.result(HEAVY) is None
    assert len(json.loads(world.s3.objects[timeouts_key(HEAVY)].body)["events"]) == 1


def test_a_large_single_that_a_second_job_answers_has_its_answer(endpoint: Endpoint) -> None:
    world = Folder(endpoint=endpoint)
    world.put(HEAVY, b"heavy" + bytes(6_300_000))
    start_heavy(world, lambda key: len(world.jobs()) > 1)
    assert isinstance(world.result(HEAVY), Classified)
    assert world.status("_singles/")["state"] == "finished"
    assert timeouts_key(HEAVY) not in world.s3.objects


def test_an_image_that_jobs_skip_without_failing_is_not_taken_for_too_expensive(
    endpoint: Endpoint,
) -> None:
    world = Folder(endpoint=endpoint, settings=with_late(0))
    world.fill("inbox/trip/1.jpg", "inbox/trip/2.jpg")
    world.start("trip/")
    (job,) = world.sagemaker.running()
    world.sagemaker.end(job, lambda key: "1" in key)
    world.sagemaker.jobs[job].status, world.sagemaker.jobs[job].reason = "Completed", None
    world.changed(job)
    assert timeouts_key("inbox/trip/2.jpg") not in world.s3.objects
