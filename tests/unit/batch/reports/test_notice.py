"""Whoever waits for a run is told once that it has ended, whatever is repeated meanwhile."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from aws.event_bus import EventRefusedError
from batch.claim import Run
from batch.closing import Closing
from batch.reports import notice
from batch.reports.changes import Changes
from batch.reports.folder_report import Counts
from domain.scope import LARGE_SINGLES, Scope
from functions.messages import Advance, Start
from tests.support.fakes.aws import error
from tests.support.fakes.sagemaker import no_one
from tests.support.worlds.folders import World
from tests.support.worlds.mortality import Death, calls_of, lived_through
from tests.support.worlds.sweeps import TRIP, answered_long_ago

SCHEMA = json.loads((Path(__file__).parents[4] / "docs/notice.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)
EVENT_BYTES = 256 * 1024
"""EventBridge's limit of an event, as its guide had it for years; botocore's model says 1 MB."""

KEYS = ("inbox/trip/1.jpg", "inbox/trip/2.jpg", "inbox/trip/3.jpg")


def filled() -> World:
    world = World()
    world.fill(*KEYS)
    world.put("inbox/trip/junk", b"junk")
    return world


def told(world: World) -> dict[str, Any]:
    """The only notice there is."""
    (detail,) = world.events.details
    VALIDATOR.validate(detail)
    return detail


def test_a_folder_that_is_done_is_told_with_its_counts_and_where_they_are() -> None:
    world = filled()
    world.run("trip/")
    detail = told(world)
    summary = world.summary("trip/")
    assert detail["counts"] == {name: summary[name] for name in detail["counts"]}
    assert (detail["kind"], detail["prefix"], detail["state"]) == (
        "folder",
        "inbox/trip/",
        "finished",
    )
    assert detail["run"] == summary["run"] == world.status("trip/")["run"]
    assert detail["id"] == f"test-{detail['run']}"
    assert detail["results"] == {
        "bucket": "bucket",
        "status": "outbox/trip/_status.json",
        "summary": "outbox/trip/_summary.json",
        "report": "outbox/trip/_report.html",
    }
    assert all(key in world.s3.objects for key in list(detail["results"].values())[1:])
    assert detail["message"] == (
        "Sortbox test: inbox/trip/ finished. 4 images: 3 classified, 1 rejected. "
        "s3://bucket/outbox/trip/_report.html"
    )


def test_the_event_is_ours_and_says_what_it_is() -> None:
    world = filled()
    world.run("trip/")
    (entry,) = world.events.taken
    assert (entry["Source"], entry["DetailType"]) == ("sortbox", "Sortbox Run Ended")
    assert set(entry) == {"Source", "DetailType", "Detail"}, "no bus is the default one"


def test_a_failed_folder_is_told_with_the_reason() -> None:
    world = filled()
    world.start("trip/")
    (job,) = world.sagemaker.running()
    world.sagemaker.end(job, answers=no_one)
    world.changed(job)
    detail = told(world)
    assert detail["state"] == "failed"
    assert detail["reason"] == world.status("trip/")["reason"]
    assert detail["reason"].rstrip(".") in detail["message"]


def test_a_step_that_comes_again_tells_nobody_again() -> None:
    world = filled()
    world.send(Start("trip/"))
    world.drain()
    (job,) = world.sagemaker.running()
    world.sagemaker.end(job)
    for _ in range(3):
        world.changed(job)
        world.send(Advance(Scope("trip/").token))
        world.drain()
    told(world)


def test_each_run_of_a_folder_that_answers_something_is_told() -> None:
    world = filled()
    world.run("trip/")
    world.put("inbox/trip/4.jpg")
    world.run("trip/")
    ids = [detail["id"] for detail in world.events.details]
    assert len(set(ids)) == len(ids) == 2
    assert world.events.details[1]["counts"]["images"] == 5


def test_a_run_that_found_nothing_to_answer_is_told_to_nobody() -> None:
    world = filled()
    world.run("trip/")
    world.run("trip/")
    told(world)


def test_a_folder_of_ignored_files_is_told_for_once() -> None:
    world = World()
    world.put("inbox/trip/.DS_Store", b"")
    world.run("trip/")
    detail = told(world)
    assert (detail["counts"]["images"], detail["counts"]["ignored"]) == (0, 1)
    assert "1 files ignored" not in detail["message"]
    assert "1 file ignored" in detail["message"]


def test_a_sweep_is_told_and_the_tables_that_it_renews_are_not() -> None:
    world = answered_long_ago(*TRIP)
    world.run("trip/")  # so that the folder has a summary
    world.events.taken.clear()
    world.promote(3)
    world.sweep()
    world.finish_jobs()
    world.drain()
    detail = told(world)
    assert (detail["kind"], detail["prefix"]) == ("reclassification", "inbox/"), (
        "a sweep has up to 10,000 folders, and nobody wants an e-mail from each"
    )
    assert detail["counts"]["renewed"] == len(TRIP)
    summary = world.read_json(detail["results"]["summary"])
    assert detail["counts"] == {name: summary[name] for name in detail["counts"]}


def test_the_daily_search_tells_of_what_it_found_only() -> None:
    world = World()
    world.sweep(kind="unanswered")
    assert world.events.taken == []
    world.put("inbox/lost.jpg")
    world.s3.clock.tick(3600)
    world.sweep(kind="unanswered")
    world.finish_jobs()
    assert told(world)["counts"]["first_answers"] == 1


def test_single_images_are_told_by_their_answers_alone() -> None:
    run = Run(LARGE_SINGLES.path, "0" * 10, "2026-01-01T00:00:00Z", first=True)
    assert not notice.is_due(run, Closing(2), Counts())


# What EventBridge does not take


def outage(operation: str, key: str) -> None:
    raise error("PutEvents", 500, "InternalFailure")


def test_what_eventbridge_does_not_take_is_sent_again_and_the_run_ends_with_it() -> None:
    world = filled()
    world.events.hook = outage
    world.start("trip/")
    (job,) = world.sagemaker.running()
    world.sagemaker.end(job)
    with pytest.raises(ClientError):
        world.changed(job)
    with pytest.raises(ClientError):
        world.drain()
    assert len(world.open_runs()) == 1
    world.events.hook = lambda *_: None
    world.drain()
    assert told(world)["state"] == "finished"
    assert world.open_runs() == []


def test_an_entry_that_failed_in_an_answer_that_succeeded_is_an_error() -> None:
    """PutEvents answers 200 and counts it in FailedEntryCount."""
    world = filled()
    world.events.refusal = "NotAuthorizedForSourceException"
    world.start("trip/")
    (job,) = world.sagemaker.running()
    world.sagemaker.end(job)
    with pytest.raises(EventRefusedError, match="NotAuthorizedForSource"):
        world.changed(job)


def test_answers_do_not_wait_for_notices_for_long(counted: dict[str, Any]) -> None:
    world = filled()
    world.events.hook = outage
    world.start("trip/")
    (job,) = world.sagemaker.running()
    world.sagemaker.end(job)
    with pytest.raises(ClientError):
        world.changed(job)
    world.s3.clock.tick(world.limits.notice_patience_seconds + 1)
    world.drain()
    assert world.open_runs() == [], "the folder's next run can begin"
    assert counted["NoticeLost"]["Value"] == [1.0]
    (stored,) = [key for key in world.s3.objects if key.endswith("/notice.json")]
    assert "InternalFailure" in world.read_json(stored)["outcome"]


# Processes that die


def story(death: Death) -> World:
    world = filled()
    world.events.hook = death
    world.send(Start("trip/"))
    world = lived_through(world, death, rounds=5)
    world.events.hook = lambda *_: None
    return world


def test_whichever_call_is_the_last_of_a_process_the_notice_comes() -> None:
    """Twice only if it died after EventBridge had the notice and before S3 had the mark."""
    often: Counter[int] = Counter()
    for at in range(1, calls_of(story) + 1):
        world = story(Death(at))
        details = world.events.details
        assert len({detail["id"] for detail in details}) == 1, f"died at call {at}"
        assert all(detail == details[0] for detail in details), "a repetition is the same notice"
        assert world.open_runs() == [], f"died at call {at}"
        often[len(details)] += 1
    assert often[2] == 1, "the mark is the one write between EventBridge's answer and safety"
    assert set(often) == {1, 2}


# Bounds


def worst(run: Run, counts: Counts | Changes) -> dict[str, Any]:
    closing = Closing(0, reason='"' * 10_000)
    return notice.detail(replace(World().cloud, stage="x" * 8), run, closing, counts)


@pytest.mark.parametrize("character", ["\x01", '"', "é", "🐈"])
def test_the_longest_notice_is_far_below_eventbridges_limit(character: str) -> None:
    path = character * (1_017 // len(character.encode())) + "/"
    millions = 10**12
    for run, counts in (
        (
            Run(path, "f" * 10, "2026-01-01T00:00:00Z", False),
            Counts(images=millions, rejected=millions),
        ),
        (Run(path, "f" * 10, "2026-01-01T00:00:00Z", False, kind="renewal"), Changes(millions)),
    ):
        detail = worst(run, counts)
        VALIDATOR.validate(detail)
        assert len(json.dumps(detail)) < EVENT_BYTES / 4


def test_the_schema_is_a_schema_and_wants_every_field() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    world = filled()
    world.run("trip/")
    whole = told(world)
    for name in whole:
        assert not VALIDATOR.is_valid({key: each for key, each in whole.items() if key != name})
    assert not VALIDATOR.is_valid(whole | {"state": "failed"}), "a failure has a reason"
