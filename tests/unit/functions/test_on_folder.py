"""The folder door: which messages begin a run, which only push one, and which are dropped."""

import json
from dataclasses import replace
from typing import Any

import pytest

from domain.keys import ACTIVE_MODEL, JobName, waiting_key
from domain.scope import Scope
from functions.messages import Advance, MalformedError, Start, to_json
from functions.on_folder import make_batch, make_context
from functions.runtime import metrics
from tests.support.fakes.sagemaker import no_one
from tests.support.worlds.folders import ON_FOLDER, World, record
from tests.support.worlds.uploads import active, sqs_event


@pytest.fixture
def world() -> World:
    world = World()
    world.fill("inbox/trip/1.jpg")
    return world


def test_a_folder_that_stayed_quiet_begins_its_run(world: World) -> None:
    world.send(world.debounce("trip/", "0123456789"))
    world.drain()
    assert len(world.open_runs()) == 1


def test_a_timer_whose_beat_has_expired_begins_the_run(world: World) -> None:
    timer = world.debounce("trip/", "0123456789")
    for key in [key for key in world.s3.objects if "/beats/" in key]:
        world.remove(key)
    world.send(timer)
    world.drain()
    assert len(world.open_runs()) == 1


def waited(world: World, seconds: int) -> None:
    """The folder's first image came so long ago; it has lived on ever since."""
    world.put(waiting_key(Scope("trip/").token))
    world.s3.clock.tick(seconds)
    outdated = world.debounce("trip/", "0000000001")
    world.debounce("trip/", "0000000002")
    world.send(outdated)


def test_a_folder_that_never_falls_quiet_begins_at_its_longest_wait(world: World) -> None:
    waited(world, ON_FOLDER.folder_longest_wait_seconds)
    world.drain()
    assert len(world.open_runs()) == 1


def test_before_its_longest_wait_it_does_not(world: World) -> None:
    waited(world, ON_FOLDER.folder_longest_wait_seconds - 1)
    world.drain()
    assert world.open_runs() == []


def test_a_run_that_begins_ends_the_wait_before_it_lists_the_folder(world: World) -> None:
    waited(world, ON_FOLDER.folder_longest_wait_seconds)
    seen: list[tuple[str, bool]] = []

    def watch(operation: str, key: str) -> None:
        seen.append((key, waiting_key(Scope("trip/").token) in world.s3.objects))

    world.s3.hook = watch
    world.drain()

    assert not any(waits for key, waits in seen if key == "inbox/trip/"), (
        "an image that comes after the listing must find no older wait to hide behind"
    )
    assert any(waits for key, waits in seen if "claims" in key), (
        "a process that dies before it has claimed the run must leave the wait behind"
    )


def test_a_run_without_a_machine_is_counted_each_time_it_comes_by(world: World) -> None:
    """Its message succeeds: nothing else would tell anybody."""
    world.sagemaker.capacity = 0
    world.fill("inbox/trip/1.jpg")
    metrics.clear_metrics()
    world.start("trip/")
    assert metrics.metric_set["NoCapacity"]["Value"] == [1.0]
    metrics.clear_metrics()


def test_a_wait_that_meets_an_open_run_goes_on(world: World) -> None:
    world.start("trip/")
    waited(world, ON_FOLDER.folder_longest_wait_seconds)
    world.drain()
    assert waiting_key(Scope("trip/").token) in world.s3.objects, (
        "the open run may have listed the folder before this image came"
    )
    assert len(world.open_runs()) == 1


def test_a_push_begins_nothing(world: World) -> None:
    world.send(Advance(Scope("trip/").token))
    world.drain()
    assert world.open_runs() == []
    assert world.sagemaker.jobs == {}


def test_an_event_of_another_stage_or_person_is_not_ours(world: World) -> None:
    world.start("trip/")
    (name,) = world.sagemaker.jobs
    before = dict(world.s3.objects)
    detail = world.sagemaker.describe_transform_job(TransformJobName=name)
    foreign = str(replace(JobName.parse(name), stage="prod"))
    for job in (foreign, "somebody-elses"):
        event = {"source": "aws.sagemaker", "detail": detail | {"TransformJobName": job}}
        world.folders().accept(record(json.dumps(event)))
    assert world.s3.objects == before


def test_an_event_of_an_earlier_run_does_not_touch_the_present_one(world: World) -> None:
    world.run("trip/")
    (old,) = world.sagemaker.jobs
    world.fill(*(f"inbox/trip/late {number}.jpg" for number in range(4)))
    world.start("trip/")
    before = dict(world.s3.objects)
    world.changed(old)
    assert world.s3.objects == before


def test_what_is_no_message_is_raised(world: World) -> None:
    with pytest.raises(MalformedError):
        world.folders().accept(record("[]"))


def test_a_run_that_ends_is_counted_by_how_it_ended(world: World, counted: dict[str, Any]) -> None:
    world.run("trip/")
    assert "RunFinished" in counted
    assert "RunFailed" not in counted

    world.fill(*(f"inbox/trip/late {number}.jpg" for number in range(4)))
    world.start("trip/")
    (job,) = world.sagemaker.running()
    world.sagemaker.end(job, answers=no_one)
    world.changed(job)
    assert "RunFailed" in counted


def test_the_door_takes_the_queues_events_and_names_those_that_failed(world: World) -> None:
    world.put(ACTIVE_MODEL, active(1).to_json().encode())
    s3: Any = world.s3
    sqs: Any = world.sqs
    sagemaker: Any = world.sagemaker
    endpoint: Any = world.endpoint
    events: Any = world.events
    take_in = make_batch(ON_FOLDER, s3, sqs, sagemaker, endpoint, events)

    assert take_in(sqs_event(to_json(Start("trip/")))) == {"batchItemFailures": []}
    ((name, job),) = world.sagemaker.jobs.items()
    assert job.request["ModelName"] == "sortbox-test-1"
    assert take_in(sqs_event("{}")) == {"batchItemFailures": [{"itemIdentifier": "m1"}]}

    world.sagemaker.end(name)
    take_in(sqs_event(to_json(Advance(Scope("trip/").token))))
    (page,) = [body for url, body, _ in world.sqs.sent if url.endswith("page")]
    assert page["page"]["token"] == Scope("trip/").token


def test_a_promotion_is_seen_by_the_step_that_follows_it(world: World) -> None:
    world.put(ACTIVE_MODEL, active(1).to_json().encode())
    s3: Any = world.s3
    nobody: Any = None
    made = make_context(ON_FOLDER, s3, nobody, nobody, nobody, nobody)
    assert made.active_model() == active(1)
    world.put(ACTIVE_MODEL, active(2).to_json().encode())
    assert made.active_model() == active(2), (
        "a sweep that is asked for right after a promotion finds every answer up to date by a "
        "pointer that was read seconds before, and ends"
    )
