"""A report that takes longer than an invocation is written in turns, and is the same report."""

import csv
import io
import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws.bucket import Bucket, Pieces
from batch import claim, closing
from batch.closing import ClosingConflictError
from batch.context import Context
from batch.reports.known import Lines
from batch.reports.multipart import PartedFile
from batch.run import Closed, advance, find
from domain.keys import JobName
from domain.scope import RECLASSIFICATION, Scope
from tests.support.fakes.aws import FakeS3, no_hook
from tests.support.worlds.folders import SMALL, World
from tests.support.worlds.mortality import Killed

FILES = ("predictions.csv", "errors.jsonl", "_report.html", "_summary.json")
MOST_TURNS = 400


@dataclass
class Slow(World):
    """Every call to S3 takes so many seconds of a folder function's time."""

    seconds: float = 0

    @property
    def cloud(self) -> Context:
        return replace(super().cloud, now=self.later)

    def later(self) -> datetime:
        calls = sum(self.s3.calls.values())
        return self.s3.clock.now + timedelta(seconds=calls * self.seconds)

    def to_rest(self) -> int:
        """Ticks of the clock until no run is open."""
        for turns in range(MOST_TURNS):
            if not self.open_runs():
                return turns
            self.tick()
            self.finish_jobs()
        raise AssertionError(f"open after {MOST_TURNS} ticks: {self.open_runs()}")


def slow(seconds: float) -> Slow:
    bounds = replace(SMALL, report_seconds=30, part_characters=600, pictures_seconds=10**6)
    world = Slow(seconds=seconds, limits=bounds)
    world.s3.least_part = 1
    world.s3.page_size = 3
    world.thumbnails = {"inbox/trip/03.jpg": b"\xff\xd8\xff"}
    return world


def two_runs_and_a_sweep(seconds: float) -> tuple[Slow, list[int]]:
    """Two runs, the second with a table to begin from and images that changed, came and went."""
    world = slow(seconds)
    world.fill(*(f"inbox/trip/{number:02}.jpg" for number in range(21)))
    for number in range(5):
        world.put(f"inbox/trip/junk {number}\n.jpg", b"junk")
    world.put("inbox/trip/.hidden", b"")
    world.run("trip/")
    turns = [world.to_rest()]
    world.remove("inbox/trip/07.jpg")
    world.put("inbox/trip/08.jpg", b"another")
    world.put("inbox/trip/junk 1\n.jpg", b"a picture")
    world.fill("inbox/trip/00a.jpg", "inbox/trip/99.jpg")
    world.answer("inbox/trip/99.jpg")
    world.run("trip/")
    turns.append(world.to_rest())
    world.promote(2)
    world.sweep("trip/")
    world.finish_jobs()
    turns.append(world.to_rest())
    return world, turns


def told(world: World) -> dict[str, Any]:
    """What people read, without what a run is called."""
    files: dict[str, Any] = {name: world.file("trip/", name) for name in FILES}
    files["_summary.json"] = {**world.summary("trip/"), "run": ""}
    files["review"] = world.s3.objects[f"outbox/_review/{Scope('trip/').token}.csv"].body
    for key, stored in world.s3.objects.items():
        name = key.rpartition("/")[2]
        if key.startswith("outbox/_reclassify/") and name == "_summary.json":
            files["changes"] = {**json.loads(stored.body), "run": "", "started_at": ""}
        elif key.startswith("outbox/_reclassify/"):
            files[f"changes {name}"] = stored.body
    return files


@pytest.fixture(scope="module")
def at_once() -> dict[str, Any]:
    world, turns = two_runs_and_a_sweep(0)
    assert turns == [0, 0, 0]
    return told(world)


@pytest.mark.parametrize("seconds", [1, 2, 5, 40])
def test_a_report_in_turns_is_the_report_at_once(at_once: dict[str, Any], seconds: float) -> None:
    world, turns = two_runs_and_a_sweep(seconds)
    assert min(turns) > 0, f"{turns} turns: one invocation had time enough, and nothing was tested"
    in_turns = told(world)
    assert in_turns.keys() == at_once.keys()
    for name in ("predictions.csv", "errors.jsonl", "_summary.json", "review"):
        assert in_turns[name] == at_once[name], f"{name}, in {turns} turns"
    for name in ("changes", "changes flips.csv"):
        assert in_turns[name] == at_once[name], f"{name}, in {turns} turns"
    assert in_turns["_report.html"].count("<img") == at_once["_report.html"].count("<img")


def test_wherever_a_process_dies_the_report_in_turns_ends_and_is_the_same() -> None:
    whole, _ = a_folder_in_turns(death=0)
    dead = 0
    for death in range(1, 60, 7):
        world, turns = a_folder_in_turns(death)
        assert turns > 1
        dead += world.s3.hook is not no_hook
        for name in ("predictions.csv", "errors.jsonl"):
            assert world.file("trip/", name) == whole.file("trip/", name), f"died at {death}"
        assert world.status("trip/")["state"] == "finished"
    assert dead == 0, "the process was to die in the middle of the report"


def a_folder_in_turns(death: int) -> tuple[Slow, int]:
    """A process dies at its `death`th call after the report has begun, and its message is lost."""
    world = slow(2)
    world.fill(*(f"inbox/trip/{number:02}.jpg" for number in range(12)))
    world.put("inbox/trip/junk.jpg", b"junk")
    world.run("trip/")
    left = death

    def die(operation: str, key: str) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            world.s3.hook = no_hook
            raise Killed

    world.s3.hook = die if death else no_hook
    turns = 0
    while world.open_runs() and turns < MOST_TURNS:
        turns += 1
        try:
            world.tick()
        except Killed:
            world.delivered += 1
    return world, turns


def test_of_two_processes_that_end_a_run_at_once_one_is_too_late() -> None:
    world = slow(5)
    world.fill(*(f"inbox/trip/{number:02}.jpg" for number in range(12)))
    world.run("trip/")
    run = find(world.cloud, Scope("trip/").token)
    assert run is not None
    while (place := closing.read(world.cloud.bucket, run)) is None:
        assert world.open_runs(), "the report was written at once, and left no place"
        world.tick()
    closing.write(world.cloud.bucket, run, replace(place, left=1))
    with pytest.raises(ClosingConflictError):
        closing.write(world.cloud.bucket, run, replace(place, left=2))


def test_the_table_of_a_run_that_is_over_is_not_published_by_who_was_late() -> None:
    world = slow(5)
    world.fill(*(f"inbox/trip/{number:02}.jpg" for number in range(12)))
    world.run("trip/")
    late = find(world.cloud, Scope("trip/").token)
    assert late is not None
    world.to_rest()
    world.fill("inbox/trip/99.jpg")
    world.start("trip/")
    before = dict(world.s3.objects)
    world.seconds = 0
    assert advance(world.cloud, late) == Closed()
    told = [key for key in before if key.startswith("outbox/")]
    assert [world.s3.objects[key] for key in told] == [before[key] for key in told]


def test_left_overs_are_counted_in_turns_too() -> None:
    world = slow(5)
    world.limits = replace(world.limits, attempts=1)
    world.fill(*(f"inbox/trip/{number:02}.jpg" for number in range(20)))
    world.start("trip/")
    turns = 0
    while world.open_runs() and turns < MOST_TURNS:
        for name in world.sagemaker.running():
            world.sagemaker.end(name, answers=only_even)
            world.changed(name)
        world.tick()
        turns += 1
    status = world.status("trip/")
    assert status["state"] == "failed"
    assert "10 images" in status["reason"]
    assert len(world.table("trip/")) == 10


def only_even(key: str) -> bool:
    return int(key[-6:-4]) % 2 == 0


cells = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@given(st.lists(st.lists(cells, min_size=2, max_size=2), min_size=1), st.integers(1, 9), st.data())
def test_a_table_is_gone_on_with_at_the_row_that_was_given_last(
    rows: list[list[str]], span: int, data: st.DataObject
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    bucket, etag, size = stored(text.getvalue().encode())
    read = data.draw(st.integers(1, len(rows)))
    first = Lines(bucket, "x", etag, size, span=span)
    given_rows = first.rows()
    assert [next(given_rows) for _ in range(read)] == rows[:read]
    second = Lines(bucket, "x", etag, size, first.place, span)
    assert list(second.rows()) == rows[read - 1 :]


def stored(content: bytes) -> tuple[Bucket, str, int]:
    s3: Any = FakeS3()
    s3.put_object(Bucket="bucket", Key="x", Body=content)
    return Bucket(s3, "bucket"), s3.objects["x"].etag, len(content)


def test_a_table_that_is_replaced_meanwhile_ends() -> None:
    bucket, etag, size = stored(b"a,b\r\n" * 10)
    rows = Lines(bucket, "x", etag, size, span=5).rows()
    assert next(rows) == ["a", "b"]
    bucket.put("x", b"another")
    assert list(rows) == []


@pytest.mark.parametrize(
    "table",
    [b"", b"image,label\r\n", b"\xff\xfe\x00", b'"never closed' * 300_000, b"\n\n,,\r\n"],
    ids=["empty", "other columns", "no text", "a quote that is never closed", "odd rows"],
)
def test_a_table_that_somebody_has_spoilt_does_not_keep_the_folder_from_its_report(
    table: bytes,
) -> None:
    world = World()
    world.fill("inbox/trip/1.jpg")
    world.run("trip/")
    world.put("outbox/trip/predictions.csv", table)
    world.put("outbox/trip/errors.jsonl", b"{\n[]\n\xff\n{}\n" + table)
    world.fill("inbox/trip/2.jpg")
    world.run("trip/")
    assert [row["image"] for row in world.table("trip/")] == [
        "inbox/trip/1.jpg",
        "inbox/trip/2.jpg",
    ]
    assert world.open_runs() == []


def test_a_run_that_grows_too_old_is_given_up_and_begins_again() -> None:
    world = World()
    world.fill("inbox/trip/1.jpg")
    world.start("trip/")
    (job,) = world.sagemaker.jobs
    world.s3.clock.tick(46 * 86_400)
    world.tick()
    assert world.status("trip/")["run"] != JobName.parse(job).nonce
    assert world.status("trip/")["state"] == "finished"
    assert world.answered() == ["inbox/trip/1.jpg"], "by the run that began again"


def test_a_run_that_is_not_so_old_goes_on() -> None:
    world = World()
    world.fill("inbox/trip/1.jpg")
    world.start("trip/")
    world.s3.clock.tick(44 * 86_400)
    world.finish_jobs()
    assert len(world.jobs()) == 1
    assert world.answered() == ["inbox/trip/1.jpg"]


def test_a_sweep_that_was_stopped_and_grows_too_old_is_given_up_for_good() -> None:
    world = World()
    world.fill("inbox/trip/1.jpg")
    world.run("trip/")
    world.promote(2)
    world.sweep("trip/")
    claim.change(world.cloud.bucket, RECLASSIFICATION, lambda run: replace(run, paused=True))
    world.s3.clock.tick(46 * 86_400)
    world.tick()
    assert world.open_runs() == [], "who stopped it did not ask for another"


def test_a_part_is_never_smaller_than_s3_wants_it() -> None:
    s3: Any = FakeS3()
    bucket = Bucket(s3, "bucket")
    file = PartedFile(bucket, "parts/")
    for number in range(12 * 2**20 // 64):
        file.write(f"{number:063}\n")
    assert len(file.pieces.keys) == 1
    assert bucket.replace("whole", file.pieces, None)
    lines = s3.objects["whole"].body.split(b"\n")
    assert [int(line) for line in lines[:-1]] == [*range(12 * 2**20 // 64)]
    assert not bucket.replace("whole", Pieces(file.pieces.keys, ""), None), "it stands already"
