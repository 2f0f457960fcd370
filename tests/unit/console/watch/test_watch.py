"""What the watch page shows of a stage, on an S3 and SQS of moto."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from starlette.requests import Request

from console.context import Console
from console.watch.folders import COUNT_REST, COUNTED_FOLDERS, STUCK_SECONDS, Folders
from console.watch.routes import TURN_SECONDS, VIEW_SECONDS, Watch
from console.watch.singles import SHOWN_SINGLES
from infra.diagnostics.catalog import MAX_ROWS
from infra.diagnostics.findings import StatusSources
from tests.support.fakes.clock import MonotonicClock
from tests.support.fakes.watched_stage import (
    QuietSageMaker,
    classify,
    finish,
    open_run,
    reject,
    upload,
)
from tests.support.worlds.consoles import client, mocked_console


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    sagemaker: Any = QuietSageMaker()
    with mocked_console(tmp_path / "console", sagemaker=sagemaker) as opened:
        yield opened


class Look:
    """A page that looks again after so many seconds; `heard` is what was published."""

    def __init__(self, console: Console, sagemaker: Any = None) -> None:
        self.clock = MonotonicClock()
        self.heard: list[Mapping[str, Any]] = []
        sources = StatusSources(
            console.stage, console.bucket, console.sqs, sagemaker or console.sagemaker
        )
        self.watch = Watch(sources, lambda topic, data: self.heard.append(data), self.clock)

    def open(self) -> None:
        """What a page does when it begins to show the stage."""
        scope = {"type": "http", "query_string": b"", "headers": []}
        self.watch.answer(Request(scope))

    def after(self, seconds: float = 0.0) -> Mapping[str, Any]:
        self.clock.now += seconds
        return self.watch.look(0)

    def folder(self, seconds: float = 0.0) -> Mapping[str, Any]:
        row: Mapping[str, Any] = self.after(seconds)["folders"]["rows"][0]
        return row


def test_an_empty_stage_is_shown(console: Console) -> None:
    picture = client(console).get("/api/watch").json()
    assert picture["folders"] == {"rows": [], "count": 0}
    assert (picture["singles"]["rows"], picture["singles"]["count"]) == ([], 0)
    assert picture["findings"][0]["sentence"].startswith("No model is active")
    shown = client(console).get("/watch")
    assert shown.status_code == 200
    assert "Watch answers arrive" in shown.text


def test_singles_appear_with_their_answers(console: Console) -> None:
    look, bucket = Look(console), console.bucket
    upload(bucket, "a.jpg", "b.jpg", "c <b>.jpg", ".DS_Store", "trip.zip")
    rows = look.after()["singles"]["rows"]
    assert {row["key"]: row["state"] for row in rows} == {
        "inbox/a.jpg": "waiting",
        "inbox/b.jpg": "waiting",
        "inbox/c <b>.jpg": "waiting",
    }
    classify(bucket, "a.jpg", label="tiger cat", score=0.5)
    reject(bucket, "b.jpg", "corrupt", "It is damaged.")
    singles = look.after(2)["singles"]
    by_key = {row["key"]: row for row in singles["rows"]}
    assert (by_key["inbox/a.jpg"]["label"], by_key["inbox/a.jpg"]["score"]) == ("tiger cat", 0.5)
    assert by_key["inbox/b.jpg"]["message"] == "It is damaged."
    assert (singles["count"], singles["answers"], singles["rate"]) == (3, 2, 1.0)
    assert singles["seconds_left"] == 1


def test_a_single_that_is_stuck_says_what_it_waits_for_as_status_does(console: Console) -> None:
    look, bucket = Look(console), console.bucket
    upload(bucket, "a.jpg", "b.jpg")
    classify(bucket, "a.jpg")
    assert look.after()["singles"]["stuck"] is None
    stuck = look.after(STUCK_SECONDS)["singles"]["stuck"]
    assert stuck["key"] == "inbox/b.jpg"
    assert stuck["waits"][1:3] == [
        "There is no answer yet (outbox/b.jpg.json).",
        "It is a single: the endpoint answers it.",
    ]
    classify(bucket, "b.jpg")
    assert look.after(2)["singles"]["stuck"] is None


def test_only_the_newest_singles_are_shown(console: Console) -> None:
    upload(console.bucket, *(f"{number:03}.jpg" for number in range(SHOWN_SINGLES + 5)))
    singles = Look(console).after()["singles"]
    assert (len(singles["rows"]), singles["count"]) == (SHOWN_SINGLES, SHOWN_SINGLES + 5)


def test_a_folder_fills_and_is_done(console: Console) -> None:
    look, bucket = Look(console), console.bucket
    upload(bucket, *(f"trip/{number}.jpg" for number in range(10)))
    new = look.folder()
    assert (new["folder"], new["state"]) == ("trip/", "not answered yet")
    open_run(bucket, "trip")
    row = look.folder(2)
    assert (row["state"], row["images"], row["answers"]) == ("running", 10, 0)
    classify(bucket, *(f"trip/{number}.jpg" for number in range(4)))
    row = look.folder(2)
    assert (row["answers"], row["rate"], row["seconds_left"]) == (4, 1.0, 6.0)
    assert row["waits"] == []
    classify(bucket, *(f"trip/{number}.jpg" for number in range(4, 10)))
    finish(bucket, "trip", 10)
    row = look.folder(2)
    assert (row["state"], row["images"]) == ("finished", 10)
    assert "live" not in row
    assert row["page"] == "outbox/trip/_report.html"


def test_a_folder_that_is_stuck_says_what_it_waits_for_as_status_does(console: Console) -> None:
    look = Look(console, QuietSageMaker(("sortbox-dev-trip-0123456789-1-0-0",)))
    upload(console.bucket, "trip/a.jpg")
    open_run(console.bucket, "trip", "waiting for capacity", "AWS has no machine for it")
    assert look.folder()["waits"] == []
    waits = look.folder(STUCK_SECONDS)["waits"]
    assert waits == [
        "Run 0123456789 is open since 2026-01-01T12:00:00Z: waiting for capacity, AWS has no "
        "machine for it.",
        "Job sortbox-dev-trip-0123456789-1-0-0 is InProgress.",
    ]


def test_the_last_folders_are_shown_and_the_others_counted(console: Console) -> None:
    look, bucket = Look(console), console.bucket
    for number in range(MAX_ROWS + 10):
        upload(bucket, f"{number:03}/a.jpg")
        finish(bucket, f"{number:03}", minutes=number)
    look.after()
    folders = look.after(2)["folders"]
    names = [row["folder"] for row in folders["rows"]]
    assert folders["count"] == MAX_ROWS + 10
    assert names == [f"{number:03}/" for number in range(MAX_ROWS + 9, 9, -1)]


def test_at_most_so_many_folders_are_counted(console: Console) -> None:
    for number in range(COUNTED_FOLDERS + 5):
        upload(console.bucket, f"{number:03}/a.jpg")
        open_run(console.bucket, f"{number:03}")
    rows = Look(console).after()["folders"]["rows"]
    assert len(rows) == COUNTED_FOLDERS + 5
    assert sum("live" in row for row in rows) == COUNTED_FOLDERS


def test_pages_hear_of_what_has_changed(console: Console) -> None:
    look = Look(console)
    assert look.watch.turn() == TURN_SECONDS
    assert look.heard == [], "nobody watches"
    look.open()
    look.watch.turn()
    assert look.heard == [], "the page has it"
    upload(console.bucket, "a.jpg")
    look.watch.turn()
    assert [picture["singles"]["count"] for picture in look.heard] == [1]
    upload(console.bucket, "b.jpg")
    look.clock.now += VIEW_SECONDS
    look.watch.turn()
    assert len(look.heard) == 1, "nobody watches any more"


def test_a_folder_that_takes_long_to_count_is_counted_less_often(console: Console) -> None:
    look, clock = Look(console), MonotonicClock()

    def now() -> float:
        clock.now += 2
        return clock.now

    upload(console.bucket, "trip/a.jpg")
    folders = Folders(look.watch.sources, now)
    first = folders.turn(["trip/"])
    upload(console.bucket, "trip/b.jpg")
    assert folders.turn(["trip/"])[0]["images"] == first[0]["images"] == 1
    clock.now += COUNT_REST * 2
    assert folders.turn(["trip/"])[0]["images"] == 2


def test_a_slow_stage_is_looked_at_less_often(console: Console) -> None:
    look = Look(console)
    clock = look.clock

    class SlowSageMaker(QuietSageMaker):
        def describe_endpoint(self, **request: Any) -> dict[str, Any]:
            clock.now += 3
            return super().describe_endpoint(**request)

    sagemaker: Any = SlowSageMaker()
    slow = Look(console, sagemaker)
    slow.clock = clock
    slow.watch.now = clock
    slow.open()
    assert slow.watch.turn() == 3


def test_without_a_permission_for_the_rest_folders_are_shown(console: Console) -> None:
    class Forbidden(QuietSageMaker):
        def describe_endpoint(self, **request: Any) -> dict[str, Any]:
            error: Any = {
                "Error": {"Code": "AccessDeniedException", "Message": "not yours"},
                "ResponseMetadata": {"HTTPStatusCode": 400},
            }
            raise ClientError(error, "DescribeEndpoint")

    upload(console.bucket, "trip/a.jpg")
    picture = Look(console, Forbidden()).after()
    assert picture["folders"]["count"] == 1
    assert "may not do that" in picture["findings"][0]["sentence"]


def test_a_key_is_explained_as_status_does(console: Console) -> None:
    page = client(console)
    upload(console.bucket, "cat.jpg", "trip/<script>.jpg")
    image = page.get("/api/watch?key=cat.jpg").json()
    assert image["key"] == "inbox/cat.jpg"
    sentences = [finding["sentence"] for finding in image["findings"]]
    assert sentences[1] == "There is no answer yet (outbox/cat.jpg.json)."
    folder = page.get("/api/watch?key=trip").json()
    assert folder["key"] == "inbox/trip/"
    assert folder["findings"][0]["sentence"] == "inbox/trip/: images 1, answers 0."
    unknown = page.get("/api/watch?key=tripp")
    assert unknown.status_code == 400
    assert "Did you mean 'inbox/trip/'" in unknown.json()["error"]
    hostile = page.get("/watch", params={"key": "trip/<script>.jpg"})
    assert "<script>.jpg" not in hostile.text


def test_the_gallery_takes_the_folders_that_the_page_links_to(console: Console) -> None:
    page = client(console)
    assert page.get("/look", params={"folder": "inbox/trip/"}).status_code == 200
    upload(console.bucket, "cat.jpg")
    classify(console.bucket, "cat.jpg")
    for path in ("/look/image", "/original", "/result"):
        assert page.get(path, params={"image": "inbox/cat.jpg"}).status_code == 200
