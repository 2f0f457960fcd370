"""The report: four streams in key order, merged over attempts and over runs."""

import csv
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aws.bucket import Listed
from batch.jobs.progress import done_key
from batch.outcome import (
    COLUMNS,
    Answer,
    Predicted,
    Refusal,
    Unanswered,
    from_csv,
    from_line,
    from_lines,
    refusals,
    to_csv,
    to_line,
)
from batch.planning.plan import plan
from batch.reports import outcomes as answers_of
from batch.reports.folder_report import MOST_LABELS, Counts, FolderReport
from batch.reports.known import AnswerStream
from batch.reports.multipart import PartedFile
from batch.run import begin
from domain.keys import evaluation_key
from domain.model import DECISIONS
from domain.reply import Label
from domain.scope import Scope
from domain.scores.drift import BINS, MIN_IMAGES
from tests.support.worlds.folders import SMALL, World
from tests.support.worlds.uploads import what_is_on

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
scores = st.floats(0, 1)
labels = st.lists(st.builds(Label, texts, scores), max_size=3).map(tuple)
keys = texts.map("inbox/trip/".__add__)
decisions = st.none() | st.sampled_from(DECISIONS)
predicted = st.builds(Predicted, keys, texts, labels, texts, texts, decision=decisions)
refused = st.builds(Refusal, keys, texts, texts, texts, st.none() | texts, texts)
answers = predicted | refused | st.builds(Unanswered, keys, texts, texts)


@given(st.lists(answers))
def test_lines_are_read_as_they_were_written(answers: list[Answer]) -> None:
    assert from_lines("".join(to_line(answer) for answer in answers)) == answers


def report_of(*answers: Predicted | Refusal) -> tuple[str, str, Counts]:
    bucket: Any = None  # nothing here is so large that it is written before its end
    reports = FolderReport(PartedFile(bucket, "table"), PartedFile(bucket, "errors"))
    reports.begin()
    for answer in answers:
        reports.add(answer)
    return reports.table.pieces.rest, reports.errors.pieces.rest, reports.counts


@given(st.lists(predicted))
def test_the_table_is_read_back_as_it_was_written(answers: list[Predicted]) -> None:
    table, _, _ = report_of(*answers)
    assert list(from_csv(csv.reader(io.StringIO(table, newline="")))) == answers


@given(st.lists(refused))
def test_the_errors_are_read_back_as_they_were_written(answers: list[Refusal]) -> None:
    _, errors, _ = report_of(*answers)
    assert list(refusals(io.StringIO(errors, newline="\n"))) == answers


def test_a_table_of_other_columns_has_nothing_to_say() -> None:
    assert list(from_csv(csv.reader(["image,label\r\n", "inbox/a,cat\r\n"]))) == []
    assert list(from_csv(csv.reader([]))) == []


def test_a_table_of_an_earlier_release_is_read() -> None:
    """It has no decisions; a folder is collected across an update."""
    answer = Predicted("inbox/a", "e", (Label("cat", 0.5),), "m", "t")
    rows = [[*COLUMNS[:-1]], to_csv(answer)[:-1]]
    assert list(from_csv(iter(rows))) == [answer]


def test_a_row_of_the_table_has_as_many_cells_as_there_are_columns() -> None:
    for count in range(4):
        answer = Predicted("inbox/a", "e", (Label("cat", 0.5),) * count, "m", "t")
        assert len(to_csv(answer)) == len(COLUMNS)


def listed(key: str, etag: str = "e") -> Listed:
    return Listed(key, etag, 1, datetime(2026, 1, 1, tzinfo=UTC))


def prediction(key: str, etag: str = "e", label: str = "cat") -> Predicted:
    return Predicted(key, etag, (Label(label, 0.5),), "m", "t")


def test_an_answer_counts_for_the_etag_that_it_carries() -> None:
    stream = AnswerStream([prediction("a", "old"), prediction("a", "e"), prediction("b", "old")])
    assert stream.at(listed("a")) == prediction("a", "e")
    assert stream.at(listed("b")) is None
    assert stream.at(listed("c")) is None


def test_the_first_of_several_answers_counts_and_none_is_not_an_answer() -> None:
    latest: list[Answer] = [Unanswered("a", "e", "?")]
    latest += [prediction("a", label="dog"), prediction("a", label="cat")]
    assert AnswerStream(latest).at(listed("a")) == prediction("a", label="dog")


def test_the_latest_attempts_answer_comes_first() -> None:
    world = World()
    world.fill("inbox/trip/1.jpg")
    run = begin(world.cloud, Scope("trip/"))
    for attempt, label in ((1, "cat"), (2, "dog")):
        page = plan(world.cloud, run, attempt, None).page(run.keys, 0, 0)
        line = to_line(prediction("inbox/trip/1.jpg", label=label))
        world.put(done_key(page), line.encode())

    merged = answers_of.read_run(world.cloud.bucket, run, attempts=3)

    assert [answer.labels[0].label for answer in merged if isinstance(answer, Predicted)] == [
        "dog",
        "cat",
    ]


def test_images_that_left_are_passed_over() -> None:
    stream = AnswerStream([prediction(key) for key in "abcd"])
    assert stream.at(listed("c")) == prediction("c")


def test_the_summary_counts_the_most_frequent_labels_and_the_rest_as_one_number() -> None:
    counts = Counts()
    counts.labels.update({f"label {number:05}": 1 for number in range(MOST_LABELS + 5)})
    counts.labels["cat"] = 7
    run = begin(World().cloud, Scope("trip/"))
    told = counts.summary(run)
    assert next(iter(told["labels"].items())) == ("cat", 7)
    assert len(told["labels"]) == MOST_LABELS
    assert told["other_labels"] == 6


def test_a_second_run_merges_with_the_table_of_the_first() -> None:
    world = World()
    world.fill(*(f"inbox/trip/{name}" for name in ("b.jpg", "c.jpg", "d.jpg")))
    world.put("inbox/trip/x.jpg", b"junk")
    world.run("trip/")
    world.remove("inbox/trip/c.jpg")
    world.fill("inbox/trip/a.jpg")
    world.put("inbox/trip/d.jpg", b"another")
    gets = world.s3.calls["GetObject"]

    world.run("trip/")

    table = world.table("trip/")
    assert [row["image"] for row in table] == [f"inbox/trip/{name}.jpg" for name in "abd"]
    assert table[2]["label"] == what_is_on(b"another")
    assert table[0]["score"] == "0.75"
    assert table[0]["etag"] == world.s3.objects["inbox/trip/a.jpg"].etag
    errors = world.file("trip/", "errors.jsonl").splitlines()
    assert [json.loads(line)["image"] for line in errors] == ["inbox/trip/x.jpg"]
    assert world.summary("trip/")["labels"] == {row["label"]: 1 for row in table}
    read = world.s3.calls["GetObject"] - gets
    assert read < 60, "what a stream knows is not read again one by one"


def test_a_rejection_that_became_an_answer_leaves_the_errors() -> None:
    world = World()
    world.put("inbox/trip/x.jpg", b"junk")
    world.run("trip/")
    world.put("inbox/trip/x.jpg", b"a picture")

    world.run("trip/")

    assert world.file("trip/", "errors.jsonl") == ""
    assert [row["image"] for row in world.table("trip/")] == ["inbox/trip/x.jpg"]


def test_an_answer_that_no_stream_knows_is_read_from_the_outbox() -> None:
    world = World()
    world.fill("inbox/trip/1.jpg", "inbox/trip/2.jpg")
    world.answer("inbox/trip/1.jpg")

    world.run("trip/")

    assert len(world.table("trip/")) == 2
    assert world.summary("trip/")["classified"] == 2


def test_restored_answers_are_those_of_the_restored_images() -> None:
    """Versions have other ids in another bucket; the answers were restored after the images."""
    old, new = World(), World()
    old.fill("inbox/trip/1.jpg", "inbox/trip/2.jpg")
    old.run("trip/")
    new.s3.clock.now = old.s3.clock.now + timedelta(days=1)
    new.fill(*(f"inbox/other/{number}.jpg" for number in range(50)))  # so that the ids differ
    new.fill(*old.images())
    new.s3.clock.now += timedelta(seconds=5)
    for key, stored in old.s3.objects.items():
        if key.startswith("outbox/"):
            new.s3.put_object(Bucket="bucket", Key=key, Body=stored.body, Metadata=stored.metadata)
    restored = {key: new.s3.objects[key] for key in ("outbox/trip/1.jpg.json",)}

    new.run("trip/")

    assert new.summary("trip/")["classified"] == 2
    assert new.summary("trip/")["unanswered"] == 0
    assert len(new.table("trip/")) == 2
    assert {key: new.s3.objects[key] for key in restored} == restored, "nothing is asked again"


@pytest.mark.parametrize("place", [0, 19], ids=["low scores", "high scores"])
def test_the_scores_are_compared_with_those_of_the_test_images(place: int) -> None:
    world = World()
    test = [0] * BINS
    test[BINS - 1 - place] = 300
    active = world.cloud.active_model().id
    world.put(evaluation_key(active), json.dumps({"scores": test}).encode())
    world.fill(*(f"inbox/trip/{number}.jpg" for number in range(MIN_IMAGES)))

    world.run("trip/")

    (score,) = {float(row["score"]) for row in world.table("trip/")}
    drift = world.summary("trip/")["drift"]
    assert (drift["images"], drift["test_images"]) == (MIN_IMAGES, 300)
    assert drift["mean_score"] == pytest.approx(score, abs=1 / BINS)
    assert drift["alarm"] == (score < drift["test_mean_score"] - 0.1)
    page = world.s3.objects["outbox/trip/_report.html"].body.decode()
    assert ("more low scores than chance" in page) == drift["alarm"]


@pytest.mark.parametrize("document", [None, b"", b"[]", b"{}", b'{"scores": [1, 2]}'])
def test_without_scores_of_test_images_nothing_is_compared(document: bytes | None) -> None:
    world = World()
    if document is not None:
        world.put(evaluation_key(world.cloud.active_model().id), document)
    world.fill(*(f"inbox/trip/{number}.jpg" for number in range(MIN_IMAGES)))

    world.run("trip/")

    assert "drift" not in world.summary("trip/")


def test_only_so_many_are_read_from_the_outbox_and_the_rest_are_counted() -> None:
    world = World(limits=replace(SMALL, report_reads=2))
    world.fill(*(f"inbox/trip/{number}.jpg" for number in range(5)))
    world.answer(*world.images())

    world.run("trip/")
    assert (world.summary("trip/")["classified"], world.summary("trip/")["unlisted"]) == (2, 3)

    world.run("trip/")
    assert (world.summary("trip/")["classified"], world.summary("trip/")["unlisted"]) == (4, 1)


@pytest.mark.parametrize("text", [b"", b"{}", b'{"schema": 2}'], ids=["empty", "bare", "newer"])
def test_a_result_of_another_schema_does_not_keep_the_report_from_being_written(
    text: bytes,
) -> None:
    world = World()
    world.fill("inbox/trip/1.jpg")
    world.answer("inbox/trip/1.jpg")
    about = world.s3.objects["outbox/trip/1.jpg.json"]
    world.s3.objects["outbox/trip/1.jpg.json"] = replace(about, body=text)

    world.run("trip/")

    assert world.status("trip/")["state"] == "finished"
    assert world.table("trip/") == []


def test_the_report_is_the_same_however_often_it_is_written() -> None:
    world = World()
    world.fill("inbox/trip/1.jpg", "inbox/trip/2.jpg")
    world.run("trip/")
    names = ("predictions.csv", "errors.jsonl")
    before = [world.file("trip/", name) for name in names]

    world.run("trip/")

    assert [world.file("trip/", name) for name in names] == before


def test_a_line_tells_its_kind() -> None:
    assert from_line('{"image": "a", "etag": "e", "why": "?"}') == Unanswered("a", "e", "?")
