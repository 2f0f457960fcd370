"""A stage without an endpoint gathers its singles, and a transform job answers them."""

from dataclasses import replace
from datetime import timedelta

import pytest
from botocore.exceptions import ReadTimeoutError

from domain.keys import LARGE_MARKERS, debounce_key, waiting_key
from domain.result import Classified, Rejected
from domain.route import SERVERLESS_BYTES
from domain.scope import LARGE_SINGLES
from functions.messages import QuietTimer
from tests.support.worlds import uploads
from tests.support.worlds.folders import ON_FOLDER, SMALL, World
from tests.support.worlds.uploads import notification

TOKEN = LARGE_SINGLES.token
GATHER = ON_FOLDER.singles_gather_seconds


@pytest.fixture
def world() -> World:
    limits = replace(SMALL, large_rows=100, slice_rows=100, page_rows=50)
    return World(limits=limits, mode="none")


def upload(world: World, *keys: str, content: bytes | None = None) -> None:
    door = uploads.World(s3=world.s3, sqs=world.sqs, endpoint=world.endpoint, mode=world.mode)
    for key in keys:
        world.put(key, key.encode() if content is None else content)
        assert door.failed(notification(key)) == []


def pass_gathering(world: World) -> None:
    world.s3.clock.now += timedelta(seconds=GATHER + 1)


def markers(world: World) -> list[str]:
    return sorted(key for key in world.s3.objects if key.startswith(LARGE_MARKERS))


def test_small_singles_share_one_job_and_nobody_asks_an_endpoint(world: World) -> None:
    keys = [f"inbox/{number:03}.jpg" for number in range(40)]
    upload(world, *keys)
    pass_gathering(world)
    world.drain()
    (job,) = world.sagemaker.jobs
    assert world.sagemaker.images(job) == keys
    world.finish_jobs()
    assert world.answered() == keys
    result = world.result(keys[0])
    assert isinstance(result, Classified)
    assert (result.how.route, result.how.job) == ("batch", job)
    assert world.endpoint.requests == [], "the stage has no endpoint"
    assert markers(world) == []
    assert world.open_runs() == []


def test_no_run_begins_before_the_first_has_waited_long_enough(world: World) -> None:
    upload(world, "inbox/a.jpg")
    world.deliver()
    assert world.open_runs() == [], "each job is billed for minutes, however few its images"
    url, body, delay = world.sqs.sent[-1]
    assert url.endswith("folder")
    assert "quiet" in body
    assert 0 < delay <= GATHER, "the last timer comes again for the rest of the time"
    pass_gathering(world)
    world.drain()
    world.finish_jobs()
    assert world.answered() == ["inbox/a.jpg"]


def test_an_earlier_timer_is_not_sent_again(world: World) -> None:
    upload(world, "inbox/a.jpg")
    earlier = QuietTimer("", "another")
    world.send(earlier)
    world.delivered = len(world.sqs.sent) - 1
    world.deliver()
    assert len(world.sqs.sent) == world.delivered, "or every upload would keep a timer of its own"


def test_uploads_that_never_pause_begin_a_run_when_the_first_has_waited(world: World) -> None:
    upload(world, "inbox/a.jpg")
    pass_gathering(world)
    upload(world, "inbox/b.jpg")
    world.deliver()  # the first one's timer, which is not the last
    assert world.open_runs() != []
    world.drain()
    world.finish_jobs()
    assert world.answered() == ["inbox/a.jpg", "inbox/b.jpg"]


def test_one_that_arrives_while_a_run_is_open_is_answered_by_the_next(world: World) -> None:
    upload(world, "inbox/a.jpg")
    pass_gathering(world)
    world.drain()
    upload(world, "inbox/b.jpg")
    assert waiting_key(TOKEN) in world.s3.objects
    pass_gathering(world)
    world.drain()
    world.finish_jobs()
    pass_gathering(world)
    world.drain()
    world.finish_jobs()
    assert world.answered() == ["inbox/a.jpg", "inbox/b.jpg"]


def test_a_timer_without_a_waiting_object_still_begins_a_run(world: World) -> None:
    """Its run may have begun right before the upload's marker was written."""
    upload(world, "inbox/a.jpg")
    del world.s3.objects[waiting_key(TOKEN)]
    world.drain()
    world.finish_jobs()
    assert world.answered() == ["inbox/a.jpg"]


def test_an_empty_one_and_one_with_a_name_that_no_job_takes_are_rejected(world: World) -> None:
    upload(world, "inbox/good.jpg", "inbox/line\nbreak.jpg")
    upload(world, "inbox/empty.jpg", content=b"")
    pass_gathering(world)
    world.drain()
    world.finish_jobs()
    codes = {}
    for key in ("inbox/good.jpg", "inbox/line\nbreak.jpg", "inbox/empty.jpg"):
        result = world.result(key)
        codes[key] = result.code if isinstance(result, Rejected) else "classified"
    assert codes == {
        "inbox/good.jpg": "classified",
        "inbox/line\nbreak.jpg": "unsupported_name",
        "inbox/empty.jpg": "empty",
    }


def test_an_overwritten_one_gets_the_answer_of_its_last_version(world: World) -> None:
    upload(world, "inbox/a.jpg", content=b"1:cat:0.9")
    upload(world, "inbox/a.jpg", content=b"1:dog:0.9")
    pass_gathering(world)
    world.drain()
    world.finish_jobs()
    result = world.result("inbox/a.jpg")
    assert isinstance(result, Classified)
    assert result.labels[0].label == "dog"


def test_a_deleted_one_has_no_answer_and_no_marker(world: World) -> None:
    upload(world, "inbox/a.jpg", "inbox/b.jpg")
    world.remove("inbox/a.jpg")
    pass_gathering(world)
    world.drain()
    world.finish_jobs()
    assert world.answered() == ["inbox/b.jpg"]
    assert markers(world) == []


def test_what_was_gathered_is_answered_also_after_the_stage_got_an_endpoint(world: World) -> None:
    upload(world, "inbox/a.jpg")
    pass_gathering(world)
    world.mode = "instance"
    world.drain()
    world.finish_jobs()
    assert world.answered() == ["inbox/a.jpg"], "small singles keep their markers as well"


def test_an_image_that_no_job_answers_alone_is_rejected_in_the_end(world: World) -> None:
    """No endpoint tells apart the image and the job: the companion's answer does."""
    upload(world, "inbox/bomb.jpg", content=b"bomb")
    pass_gathering(world)
    world.drain()
    while names := world.sagemaker.running():
        for name in names:
            world.sagemaker.end(name, lambda key: not key.startswith("inbox/"))
            world.changed(name)
    assert len(world.sagemaker.jobs) == 4, "the first has no companion"
    result = world.result("inbox/bomb.jpg")
    assert isinstance(result, Rejected)
    assert result.code == "too_expensive"


def test_one_that_no_job_answers_is_rejected_also_while_a_serverless_endpoint_is_cold(
    world: World,
) -> None:
    """A container takes longer to start than a probe waits; the companion shows that jobs work."""
    world.mode = "serverless"

    def start() -> None:
        raise ReadTimeoutError(endpoint_url="http://runtime")

    upload(world, "inbox/bomb.jpg", content=b"bomb" + b"x" * SERVERLESS_BYTES)
    world.endpoint.trouble = start
    world.drain()
    while names := world.sagemaker.running():
        for name in names:
            world.sagemaker.end(name, lambda key: not key.startswith("inbox/"))
            world.changed(name)
    result = world.result("inbox/bomb.jpg")
    assert isinstance(result, Rejected), "it would be asked again every night"
    assert result.code == "too_expensive"


def test_a_serverless_endpoint_answers_up_to_its_limit_and_jobs_the_rest(world: World) -> None:
    world.mode = "serverless"
    upload(world, "inbox/small.jpg", content=b"x" * SERVERLESS_BYTES)
    assert len(world.endpoint.requests) == 1
    upload(world, "inbox/large.jpg", content=b"x" * (SERVERLESS_BYTES + 1))
    assert len(world.endpoint.requests) == 1
    assert debounce_key(TOKEN) in world.s3.objects
    world.drain()
    world.finish_jobs()
    assert world.answered() == ["inbox/large.jpg", "inbox/small.jpg"]
