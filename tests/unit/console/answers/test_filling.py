"""After a filling, the index is equal to the outbox, whatever happened to it before."""

import io
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from aws.bucket import Bucket
from batch.outcome import COLUMNS, answer_of, to_csv, to_line
from console.answers.filling import SHORTEST_PAUSE_SECONDS, Filling, is_result
from console.answers.index import AnswerIndex, storable, to_row
from domain.keys import INBOX, OUTBOX, result_key
from domain.result import Classified, Result, from_json
from domain.tables.writer import write_header, write_rows
from tests.support.builders.answers import classified, rejected, store
from tests.support.fakes.aws import FakeS3, error
from tests.support.fakes.clock import MonotonicClock

BUCKET = "bucket"
LONG_NAME = "é" * 507 + ".jpg"
NAMES = ("a.jpg", "cat.jpg", "cat", "trip/a.jpg", "trip/cat (1).jpg", "trip/ü/<b>.jpg", LONG_NAME)


def filling(
    s3: FakeS3, folder: Path, time: MonotonicClock | None = None
) -> tuple[Filling, AnswerIndex]:
    client: Any = s3
    index = AnswerIndex(folder / "answers.db")
    return Filling(Bucket(client, BUCKET), index, time or MonotonicClock()), index


def table(*results: Classified) -> bytes:
    text = io.StringIO(newline="")
    write_header(text, COLUMNS)
    write_rows(text, (to_csv(answer_of(one)) for one in results))  # type: ignore[arg-type]
    return text.getvalue().encode()


class Outbox(RuleBasedStateMachine):
    """Results come, change and go, between fillings and within one."""

    folder: Path

    def __init__(self) -> None:
        super().__init__()
        self.s3 = FakeS3(page_size=3)
        self.number = 0
        self.filling, self.index = filling(self.s3, Path(mkdtemp(dir=self.folder)))

    @rule(name=st.sampled_from(NAMES), label=st.sampled_from(("cat", "dog")))
    def answer(self, name: str, label: str) -> None:
        self.number += 1
        store(self.s3, BUCKET, classified(name, (label, 0.5), etag=f"e{self.number}"))

    @rule(name=st.sampled_from(NAMES))
    def reject(self, name: str) -> None:
        store(self.s3, BUCKET, rejected(name))

    @rule(name=st.sampled_from(NAMES))
    def delete(self, name: str) -> None:
        self.s3.delete_object(Bucket=BUCKET, Key=result_key(INBOX + name))

    @rule(name=st.sampled_from(("a.jpg", "cat (1).jpg", "gone.jpg")))
    def report(self, name: str) -> None:
        """A table that may be outdated at once."""
        body = table(classified(f"trip/{name}", ("outdated", 0.1)))
        self.s3.put_object(Bucket=BUCKET, Key="outbox/trip/predictions.csv", Body=body)

    @rule()
    def step(self) -> None:
        self.filling.refresh()
        self.filling.step(0)

    @rule()
    def fill(self) -> None:
        self.filling.run()
        self.filling.run()  # a table that was listed after its results may have brought old rows
        self.compare()

    @invariant()
    def is_whole(self) -> None:
        assert self.index.count() == len(self.index.select(limit=100))

    def compare(self) -> None:
        expected = {}
        for key, stored in self.s3.objects.items():
            if key.endswith(".json"):
                result = from_json(stored.body)
                expected[result.image] = to_row(result, key, stored.etag)
        assert {one.image: one for one in self.index.select(limit=100)} == expected
        assert self.index.count_pending() == 0


def test_the_index_becomes_equal_to_any_outbox(tmp_path: Path) -> None:
    machine = type("OutboxHere", (Outbox,), {"folder": tmp_path})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=40, stateful_step_count=15, deadline=None)
    )


def filling_of_tables(s3: FakeS3, folder: Path) -> tuple[Filling, AnswerIndex, MonotonicClock]:
    """Listings take so long that a step of two seconds reads the tables alone, and no result."""
    time = MonotonicClock()

    def listings_take_long(operation: str, key: str) -> None:
        time.now += 5 * (operation == "ListObjectsV2")

    s3.hook = listings_take_long
    return *filling(s3, folder, time), time


def test_a_table_shows_its_answers_before_they_are_read(tmp_path: Path) -> None:
    s3 = FakeS3()
    results: list[Result] = [classified(f"trip/{number}.jpg") for number in range(5)]
    store(s3, BUCKET, *results, rejected("trip/r.jpg"))
    answers = [one for one in results if isinstance(one, Classified)]
    s3.put_object(Bucket=BUCKET, Key="outbox/trip/predictions.csv", Body=table(*answers))
    line = to_line(answer_of(rejected("trip/r.jpg")))
    s3.put_object(Bucket=BUCKET, Key="outbox/trip/errors.jsonl", Body=line)
    fill, index, time = filling_of_tables(s3, tmp_path)
    fill.step(2)
    assert s3.calls["GetObject"] == 2, "one for each table"
    assert index.count() == 6
    [row] = [one for one in index.select() if one.code]
    assert (row.status, row.code, row.result_etag) == ("rejected", "truncated", "")
    time.now += 1000
    fill.run()
    assert index.count_pending() == 0
    before = s3.calls["GetObject"]
    fill.run()
    assert s3.calls["GetObject"] == before, "nothing is read twice"
    assert {one.format for one in index.select()} == {"jpeg", ""}


def test_a_table_that_people_have_edited_brings_its_right_rows_alone(tmp_path: Path) -> None:
    s3 = FakeS3()
    rows = (
        classified("trip/a.jpg", ("cat", 0.5)),
        classified("trip/nan.jpg", ("cat", float("nan"))),
        classified("trip/high.jpg", ("cat", 7.0)),
        classified("other/b.jpg", ("cat", 0.5)),
        classified("trip/odd time.jpg", at="yesterday"),
    )
    body = table(*rows).replace(b"inbox/other/", b"models/")
    s3.put_object(Bucket=BUCKET, Key="outbox/trip/predictions.csv", Body=body)
    lines = b'{"image": 5, "etag": "e", "code": "x", "message": "", "model": null, "at": "2026"}\n'
    s3.put_object(Bucket=BUCKET, Key="outbox/trip/errors.jsonl", Body=lines + b"[]\nnull\n{\n")
    for row in rows:
        s3.put_object(Bucket=BUCKET, Key=result_key(row.image), Body=b"{}")
    fill, index, _ = filling_of_tables(s3, tmp_path)
    fill.step(2)
    assert {one.image: one.classified_at for one in index.select()} == {
        "inbox/trip/a.jpg": rows[0].how.at,
        "inbox/trip/odd time.jpg": "1970-01-01T00:00:00Z",
    }


def test_the_newest_are_read_first(tmp_path: Path) -> None:
    s3 = FakeS3()
    for number in range(200):
        store(s3, BUCKET, classified(f"{number:03}.jpg"))
        s3.clock.tick(60)
    time = MonotonicClock()
    fill, index = filling(s3, tmp_path, time)

    def reads_take_long(operation: str, key: str) -> None:
        time.now += operation == "GetObject"

    s3.hook = reads_take_long
    fill.step(2)
    assert index.get("inbox/199.jpg") is not None
    assert index.get("inbox/000.jpg") is None


def test_a_listing_takes_a_twentieth_of_the_time_at_most(tmp_path: Path) -> None:
    s3, time = FakeS3(), MonotonicClock()
    store(s3, BUCKET, classified("a.jpg"))
    fill, _ = filling(s3, tmp_path, time)
    assert fill.step() == pytest.approx(SHORTEST_PAUSE_SECONDS)

    def listings_take_a_second(operation: str, key: str) -> None:
        time.now += operation == "ListObjectsV2"

    s3.hook = listings_take_a_second
    fill.refresh()
    assert fill.step(10) == pytest.approx(2 * 20), "two pages, the second one empty"
    lists = s3.calls["ListObjectsV2"]
    fill.step()
    assert s3.calls["ListObjectsV2"] == lists, "it is not due"
    fill.refresh()
    fill.step(10)
    assert s3.calls["ListObjectsV2"] == lists + 2, "a person may have it at once"


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"not json",
        b"[" * 100_000,
        b'{"schema": 1, "status": "classified", "image": 5, "source": {}, "labels": []}',
        b'{"schema": 2}',
        b"\xff\xfe",
    ],
)
def test_what_is_no_result_is_read_once_and_is_no_answer(tmp_path: Path, body: bytes) -> None:
    s3 = FakeS3()
    s3.put_object(Bucket=BUCKET, Key="outbox/foreign.jpg.json", Body=body)
    fill, index = filling(s3, tmp_path)
    fill.run()
    fill.run()
    assert (index.count(), index.count_pending()) == (0, 0)
    assert s3.calls["GetObject"] == 1
    store(s3, BUCKET, classified("foreign.jpg"))
    fill.run()
    assert index.count() == 1, "its next version may be one"


def test_a_result_under_another_images_key_is_none(tmp_path: Path) -> None:
    s3 = FakeS3()
    store(s3, BUCKET, classified("a.jpg"))
    body = s3.objects["outbox/a.jpg.json"].body
    s3.put_object(Bucket=BUCKET, Key="outbox/b.jpg.json", Body=body)
    fill, index = filling(s3, tmp_path)
    fill.run()
    assert [one.image for one in index.select()] == ["inbox/a.jpg"]


def test_a_result_that_s3_denies_stops_no_other_and_keeps_its_row(tmp_path: Path) -> None:
    s3 = FakeS3()
    store(s3, BUCKET, classified("a.jpg"), classified("trip/cold.jpg"))
    body = table(classified("trip/cold.jpg"))
    s3.put_object(Bucket=BUCKET, Key="outbox/trip/predictions.csv", Body=body)

    def deny(operation: str, key: str) -> None:
        if operation == "GetObject" and "cold" in key:
            raise error("GetObject", 403, "InvalidObjectState")

    s3.hook = deny
    fill, index = filling(s3, tmp_path)
    fill.run()
    assert {one.image for one in index.select()} == {"inbox/a.jpg", "inbox/trip/cold.jpg"}
    assert index.count_pending() == 0


def test_a_failure_keeps_what_was_read_and_is_raised(tmp_path: Path) -> None:
    s3 = FakeS3()
    store(s3, BUCKET, classified("a.jpg"), classified("slow.jpg"))

    def fail(operation: str, key: str) -> None:
        if operation == "GetObject" and "slow" in key:
            raise error("GetObject", 503, "SlowDown")

    s3.hook = fail
    fill, index = filling(s3, tmp_path)
    with pytest.raises(ClientError):
        fill.run()
    assert (index.count(), index.count_pending()) == (1, 1)
    s3.hook = lambda operation, key: None
    fill.step()
    assert (index.count(), index.count_pending()) == (2, 0)


def test_files_about_folders_are_no_answers(tmp_path: Path) -> None:
    s3 = FakeS3()
    for name in (
        "trip/_summary.json",
        "trip/_status.json",
        "_archives/x.zip.json",
        "_long/a/b.json",
    ):
        s3.put_object(Bucket=BUCKET, Key=f"{OUTBOX}{name}", Body=b"{}")
    client: Any = s3
    assert not [one.key for one in Bucket(client, BUCKET).page(OUTBOX) if is_result(one)]


def test_a_label_with_a_lone_surrogate_is_stored(tmp_path: Path) -> None:
    s3 = FakeS3()
    body = b'{"schema": 1, "status": "classified", "image": "inbox/a.jpg", "labels": [{"label": '
    body += b'"\\ud800", "score": 0.5}], "model": {"name": "pets", "version": 1, "digest": "x", '
    body += b'"container": "y"}, "source": {"bucket": "b", "etag": "e", "version_id": null, '
    body += b'"bytes": 1, "width": 1, "height": 1, "format": "png"}, "route": "endpoint", '
    body += b'"job": null, "attempt": 1, "classified_at": "2026-11-28T09:00:00Z", "model_ms": 1}'
    s3.put_object(Bucket=BUCKET, Key="outbox/a.jpg.json", Body=body)
    fill, index = filling(s3, tmp_path)
    fill.run()
    assert [one.label for one in index.select()] == [storable("\ud800")]
