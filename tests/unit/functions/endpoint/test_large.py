"""Singles beyond 6 MB: the endpoint's where it takes them, a job's once it has said no."""

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event, Semaphore
from traceback import walk_tb
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError, SSLError

from domain.keys import large_key
from domain.reply import Reply, to_json
from domain.result import Classified
from domain.route import ENDPOINT_BYTES, LARGE_BODY_BYTES
from functions.endpoint import classify
from functions.endpoint.large import MAX_BODIES, REMEMBERED_SECONDS, LargeBodies
from functions.endpoint.readiness import Readiness
from functions.inbox import FetchedImage, fetch
from functions.sqs import SqsBatch
from tests.support.fakes.aws import error
from tests.support.worlds.uploads import (
    SETTINGS,
    FakeEndpoint,
    World,
    active,
    model,
    model_error,
    notification,
    reply_to,
    sqs_event,
)

CAT, DOG = "inbox/cat.jpg", "inbox/dog.jpg"
LARGE = b"x" * (ENDPOINT_BYTES + 1)


def validation_error(message: str) -> ClientError:
    raised = error("InvokeEndpoint", 400, "ValidationError")
    raised.response["Error"]["Message"] = message
    return raised


SIZES = {
    "413 of SageMaker's front": lambda: error("InvokeEndpoint", 413, "413"),
    "an oversize body": lambda: validation_error("Request 1-2-3 has oversize body."),
    "a length": lambda: validation_error(
        "1 validation error detected: Value at 'body' failed to satisfy constraint: Member must "
        "have length less than or equal to 6291456"
    ),
    "the container's own": lambda: model_error(413, to_json(reply_to(b"junk", model(1)))),
}


def process_of(world: World, large: LargeBodies) -> SqsBatch:
    """A process of onUpload with this memory of large bodies."""
    sqs: Any = world.sqs
    uploads = world.uploads()
    uploads.large._refused_at, uploads.large.now = large._refused_at, large.now
    return SqsBatch(sqs, SETTINGS.inbox_queue_url, 5, uploads.accept)


def test_the_endpoint_answers_a_single_of_up_to_25_megabytes() -> None:
    world = World(endpoint=FakeEndpoint(body_bytes=LARGE_BODY_BYTES))
    world.put(CAT, b"x" * LARGE_BODY_BYTES)
    assert world.failed(notification(CAT)) == []
    result = world.result(CAT)
    assert isinstance(result, Classified)
    assert result.how.route == "endpoint"
    assert large_key(CAT) not in world.s3.objects


@pytest.mark.parametrize("name", SIZES)
def test_one_that_the_endpoint_does_not_take_goes_to_a_job_and_is_remembered(name: str) -> None:
    world, now = World(endpoint=FakeEndpoint(body_bytes=LARGE_BODY_BYTES)), [0.0]
    refusals: list[ClientError] = []

    def refuse() -> None:
        refusals.append(SIZES[name]())
        raise refusals[-1]

    world.endpoint.trouble = refuse
    process = process_of(world, LargeBodies(now=lambda: now[0]))
    for key in (CAT, DOG):
        world.put(key, LARGE)
        assert world.failed(notification(key), process=process) == []
        assert large_key(key) in world.s3.objects
        assert world.result(key) is None, "it says nothing about the image"
    assert len(refusals) == 1, "each image would pay for a transfer that ends in a refusal"
    world.endpoint.trouble = lambda: None
    now[0] = REMEMBERED_SECONDS
    assert world.failed(notification(CAT), process=process) == []
    assert world.result(CAT), "a quota or a region that changed is seen an hour later"


def test_a_small_one_is_still_judged_by_the_containers_413() -> None:
    world = World(endpoint=FakeEndpoint(body_bytes=LARGE_BODY_BYTES))

    def refuse() -> None:
        raise model_error(413, "too large for me")

    world.endpoint.trouble = refuse
    world.put(CAT, b"x" * ENDPOINT_BYTES)
    assert world.failed(notification(CAT)) == []
    assert world.result(CAT) is not None


@pytest.mark.parametrize("kind", [ReadTimeoutError, ConnectionClosedError, SSLError])
def test_one_that_the_endpoint_does_not_answer_in_time_has_a_jobs_time(
    kind: Callable[..., Exception],
) -> None:
    world = World(endpoint=FakeEndpoint(body_bytes=LARGE_BODY_BYTES))

    def time_out() -> None:
        raise kind(endpoint_url="https://x", error="EOF occurred in violation of protocol")

    world.endpoint.trouble = time_out
    world.put(CAT, LARGE)
    assert world.failed(notification(CAT)) == []
    assert large_key(CAT) in world.s3.objects


def test_an_endpoint_in_trouble_is_tried_again_as_for_a_small_one() -> None:
    world = World(endpoint=FakeEndpoint(body_bytes=LARGE_BODY_BYTES))

    def throttle() -> None:
        raise error("InvokeEndpoint", 400, "ThrottlingException")

    world.endpoint.trouble = throttle
    world.put(CAT, LARGE)
    assert world.failed(notification(CAT)) == ["m1"]
    assert large_key(CAT) not in world.s3.objects


def test_one_that_changes_meanwhile_is_not_answered_for_what_it_was() -> None:
    world = World(endpoint=FakeEndpoint(body_bytes=LARGE_BODY_BYTES))
    s3: Any = world.s3
    world.put(CAT, LARGE)
    looked_at: Any = fetch(s3, "bucket", CAT, ENDPOINT_BYTES)
    world.put(CAT, LARGE + b"other")
    client: Any = world.endpoint
    again = partial(fetch, s3, "bucket", CAT)
    doubtful = Readiness(is_in_doubt=True)
    invoke = partial(classify.ask, client, active(1))
    assert LargeBodies().ask(looked_at, again, invoke, doubtful) is None
    assert world.endpoint.requests == []
    assert doubtful.is_in_doubt, "nothing was asked, so nothing is known"


def test_the_error_of_a_refused_request_does_not_keep_its_body() -> None:
    """The batch keeps its errors to its end: ten bodies would be half of the function's memory."""
    world = World(endpoint=FakeEndpoint(body_bytes=LARGE_BODY_BYTES))

    def throttle() -> None:
        raise error("InvokeEndpoint", 400, "ThrottlingException")

    world.endpoint.trouble = throttle
    world.put(CAT, LARGE)
    [message] = sqs_event(notification(CAT))["Records"]
    with pytest.raises(ClientError) as caught:
        world.uploads().accept(SQSRecord(message))
    kept = [
        value
        for frame, _ in walk_tb(caught.value.__traceback__)
        for value in frame.f_locals.values()
        if isinstance(value, FetchedImage) or (isinstance(value, bytes) and len(value) > 1_000_000)
    ]
    assert kept == []


class Blocked:
    """An endpoint that keeps its callers until it is let go."""

    def __init__(self) -> None:
        self.entered, self.is_free = Semaphore(0), Event()

    def invoke_endpoint(self, *, Body: bytes, **_: str) -> Any:
        self.entered.release()
        assert self.is_free.wait(10)
        return {"Body": io.BytesIO(to_json(reply_to(Body, model(1))).encode())}


def test_few_are_in_memory_at_once_and_the_next_goes_to_a_job() -> None:
    """Ten of an invocation, twice each while they are read, are more than onUpload has."""
    world, endpoint = World(), Blocked()
    s3: Any = world.s3
    client: Any = endpoint
    world.put(CAT, LARGE)
    image: Any = fetch(s3, "bucket", CAT, ENDPOINT_BYTES)
    large = LargeBodies(turn_seconds=0)

    def ask() -> Reply | None:
        invoke = partial(classify.ask, client, active(1))
        return large.ask(image, partial(fetch, s3, "bucket", CAT), invoke, Readiness())

    with ThreadPoolExecutor(MAX_BODIES) as callers:
        replies = [callers.submit(ask) for _ in range(MAX_BODIES)]
        for _ in replies:
            assert endpoint.entered.acquire(timeout=10)
        assert ask() is None
        endpoint.is_free.set()
        assert all(reply.result() for reply in replies)
    assert ask() is not None, "a turn is given back"
    memory = 512 * 2**20
    assert memory / 2 > MAX_BODIES * 2 * LARGE_BODY_BYTES + 10 * 2 * ENDPOINT_BYTES
