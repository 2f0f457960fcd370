"""A page: its rows into the outbox, whatever happened to the images and to the process before."""

import json
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest
from botocore.exceptions import ClientError

from batch.jobs.progress import done_key
from batch.outcome import Predicted, Unanswered, from_lines
from batch.planning.slice import PageRef
from domain.keys import ACTIVE_MODEL
from domain.result import Classified, How, Rejected
from domain.route import ENDPOINT_BYTES, endpoint_bytes
from domain.scope import Scope
from functions.answer import unfit_for_jobs
from functions.inbox import Image
from functions.messages import Advance, MalformedError, to_json
from functions.on_page import make_batch
from tests.support.fakes.aws import error
from tests.support.worlds.folders import ON_PAGE, World, record, with_late
from tests.support.worlds.uploads import active, sqs_event

KEYS = ("inbox/trip/1.jpg", "inbox/trip/2.jpg")
RUN = "0000000001"
HOW = How("endpoint", None, 1, "2026-01-01T00:00:00Z")
PAGE = PageRef(Scope("trip/").token, RUN, 1, 0, 0, 0)


@pytest.fixture
def world() -> World:
    """A folder of two whose job has ended, and whose one page is not answered yet."""
    world = World()
    world.fill(*KEYS)
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    world.sagemaker.end(job)
    return world


@pytest.fixture
def late() -> World:
    """Two late images, whose one page goes to the endpoint and is not answered yet."""
    world = World(settings=with_late(3))
    world.put("outbox/trip/_summary.json", b"{}")
    world.fill(*KEYS)
    world.send(world.debounce("trip/", "0123456789"))
    world.deliver()
    return world


def accept(world: World, page: PageRef = PAGE) -> None:
    world.pages().accept(record(to_json(page)))


def marker(world: World) -> list[Any]:
    return from_lines(world.s3.objects[done_key(PAGE)].body.decode())


def test_a_page_is_settled_marked_and_told_to_the_run(world: World) -> None:
    accept(world)

    assert world.answered() == sorted(KEYS)
    assert [type(line) for line in marker(world)] == [Predicted, Predicted]
    assert world.sqs.sent[-1][:2] == (
        "http://queues/folder",
        json.loads(to_json(Advance(PAGE.token))),
    )


def test_a_page_delivered_twice_answers_once(world: World) -> None:
    accept(world)
    before = dict(world.s3.objects)
    accept(world)
    assert world.s3.objects == before


def test_a_page_that_is_done_already_is_told_to_the_run_again(world: World) -> None:
    accept(world)
    before = len(world.sqs.sent)
    accept(world)
    assert [body for _, body, _ in world.sqs.sent[before:]] == [
        json.loads(to_json(Advance(PAGE.token)))
    ], (
        "The process may have died after the marker and before the message: then the message that "
        "comes again is the last that can tell the run, which would else wait for the clock."
    )


def test_a_row_that_was_settled_before_the_process_died_is_in_the_marker(world: World) -> None:
    world.answer(KEYS[0])
    accept(world)
    assert [line.image for line in marker(world)] == list(KEYS)


def test_trouble_with_one_row_leaves_the_others_settled_and_the_page_undone(late: World) -> None:
    def refuse_the_first(operation: str, key: str) -> None:
        if operation == "PutObject" and key.endswith("1.jpg.json"):
            raise error("PutObject", 503, "SlowDown")

    late.s3.hook = refuse_the_first
    with pytest.raises(ClientError, match="SlowDown"):
        accept(late)

    assert late.answered() == [KEYS[1]]
    assert done_key(PAGE) not in late.s3.objects


def test_a_throttled_endpoint_is_never_an_answer(late: World) -> None:
    def throttle() -> None:
        raise error("InvokeEndpoint", 429, "ThrottlingException")

    late.endpoint.trouble = throttle
    with pytest.raises(ClientError, match="Throttling"):
        accept(late)

    assert late.answered() == []


def test_a_late_image_is_answered_as_it_is_now(late: World) -> None:
    late.put(KEYS[0], b"another picture")
    accept(late)
    assert late.answered() == sorted(KEYS)
    assert late.endpoint.requests == [b"another picture", KEYS[1].encode()]


def test_a_late_image_that_has_grown_is_left_to_a_job(late: World) -> None:
    late.put(KEYS[0], b"x" * 6_300_000)
    accept(late)
    assert late.answered() == [KEYS[1]]
    assert [line.image for line in marker(late)] == [KEYS[1]]


def test_images_of_a_page_wait_on_the_endpoint_side_by_side(late: World) -> None:
    """Each call waits for the other: one after the other, they would wait for ever."""
    both = Barrier(2, timeout=10)

    def meet() -> None:
        both.wait()

    late.endpoint.trouble = meet
    late.threads = 2
    accept(late)
    assert late.answered() == sorted(KEYS)


def test_a_row_without_output_is_told_as_unanswered_and_has_no_result(world: World) -> None:
    for key in [key for key in world.s3.objects if key.endswith("1.jpg.out")]:
        world.remove(key)
    accept(world)
    etag = world.s3.objects[KEYS[0]].etag
    why = "the transform job wrote nothing for it"
    assert marker(world)[0] == Unanswered(KEYS[0], etag, why)
    assert world.answered() == [KEYS[1]]


def test_a_result_of_what_the_image_was_is_withdrawn(world: World) -> None:
    """An answer that was written just as the image changed, by a process that then died."""
    world.answer(KEYS[0])
    world.put(KEYS[0], b"another picture")
    accept(world)
    assert world.result(KEYS[0]) is None
    assert [line.image for line in marker(world)] == [KEYS[1]]


def test_a_deleted_image_leaves_nothing(world: World) -> None:
    world.answer(KEYS[0])
    world.remove(KEYS[0])
    accept(world)
    assert world.result(KEYS[0]) is None


def test_a_result_tells_the_job_and_the_attempt(world: World) -> None:
    accept(world)
    result = world.result(KEYS[0])
    assert isinstance(result, Classified)
    assert (result.how.route, result.how.attempt) == ("batch", 1)
    assert result.how.job in world.sagemaker.jobs


def test_a_page_of_an_expired_run_is_dropped_with_a_word(world: World) -> None:
    before = len(world.sqs.sent)
    accept(world, replace(PAGE, nonce="ffffffffff"))
    assert len(world.sqs.sent) == before


def test_what_is_no_page_is_raised(world: World) -> None:
    with pytest.raises(MalformedError):
        world.pages().accept(record('{"start": {"path": "trip/"}}'))


@pytest.mark.parametrize(
    ("key", "size", "sentence"),
    [
        ("inbox/t/a.jpg", 100_000_001, "at most 100000000 can be classified"),
        ("inbox/t//a.jpg", 6_291_457, "needs a plainer name"),
        ("inbox/t/a.jpg", 6_291_457, None),
    ],
)
def test_what_is_too_large_is_told_what_to_do(key: str, size: int, sentence: str | None) -> None:
    world = World()
    world.put(key, b"")
    source = replace(_source(world, key), bytes=size)
    rejected = unfit_for_jobs(Image(key, source, world.s3.clock.now), HOW, ENDPOINT_BYTES)
    assert sentence in rejected.message if rejected and sentence else rejected is None


@pytest.mark.parametrize(
    ("key", "size", "code"),
    [
        ("inbox/a.jpg", 1, None),
        ("inbox/a.jpg", 0, "empty"),
        ("inbox/line\nbreak.jpg", 1, "unsupported_name"),
        ("inbox/a.jpg", 100_000_001, "too_large"),
    ],
)
def test_without_an_endpoint_what_no_job_takes_is_told_why(
    key: str, size: int, code: str | None
) -> None:
    world = World()
    world.put(key, b"")
    source = replace(_source(world, key), bytes=size)
    image = Image(key, source, world.s3.clock.now)
    rejected = unfit_for_jobs(image, HOW, endpoint_bytes("none"))
    assert (rejected and rejected.code) == code


def _source(world: World, key: str) -> Any:
    world.answer(key)
    result = world.result(key)
    assert isinstance(result, Classified | Rejected)
    return result.source


def test_the_door_takes_the_queues_events_and_names_those_that_failed(world: World) -> None:
    world.put(ACTIVE_MODEL, active(1).to_json().encode())
    s3: Any = world.s3
    sqs: Any = world.sqs
    endpoint: Any = world.endpoint
    take_in = make_batch(ON_PAGE, s3, sqs, endpoint)

    assert take_in(sqs_event(to_json(PAGE))) == {"batchItemFailures": []}
    assert world.answered() == sorted(KEYS)
    assert take_in(sqs_event("{}")) == {"batchItemFailures": [{"itemIdentifier": "m1"}]}


def test_a_model_that_moves_during_a_run_queues_none_of_its_rows(world: World) -> None:
    """The endpoint would answer a run of a million once more, image by image."""
    world.put(ACTIVE_MODEL, active(2).to_json().encode())
    before = len(world.sqs.sent)
    s3: Any = world.s3
    sqs: Any = world.sqs
    endpoint: Any = world.endpoint
    make_batch(ON_PAGE, s3, sqs, endpoint)(sqs_event(to_json(PAGE)))

    assert world.answered() == sorted(KEYS)
    assert [url for url, _, _ in world.sqs.sent[before:]] == [ON_PAGE.folder_queue_url]
