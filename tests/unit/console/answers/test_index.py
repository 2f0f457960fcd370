"""The index selects, sorts and pages as a list in memory would."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.answers.index import (
    EVERYTHING,
    AnswerFilter,
    AnswerIndex,
    AnswerIndexError,
    AnswerRow,
    PendingResult,
    Sort,
    storable,
    to_row,
)
from domain.keys import result_key
from domain.model import DECISIONS, Decision
from domain.result import Result
from tests.support.builders.answers import classified, rejected

HOSTILE = (
    "<script>alert(1)</script>.jpg",
    "a\u202egpj.exe",
    "x" * 1018,
    "50%_off!.jpg",
    "null\0byte.jpg",
    "'; DROP TABLE answers; --",
    "😀/é.jpg",
)


@pytest.fixture
def index(tmp_path: Path) -> AnswerIndex:
    return AnswerIndex(tmp_path / "answers.db")


def row(result: Result, etag: str = "r1") -> AnswerRow:
    return to_row(result, result_key(result.image), etag)


def images(index: AnswerIndex, chosen: AnswerFilter = EVERYTHING, sort: Sort = "name") -> list[str]:
    selected = [row.image.removeprefix("inbox/") for row in index.select(chosen, sort)]
    assert index.count(chosen) == len(selected), "the count is of what is selected"
    return selected


@pytest.fixture
def filled(index: AnswerIndex) -> AnswerIndex:
    index.put(
        [
            row(classified("a.jpg", ("cat", 0.9), at="2026-11-26T23:59:59Z")),
            row(classified("b.jpg", ("dog", 0.4), at="2026-11-27T00:00:00Z")),
            row(classified("trip/c.jpg", ("cat", 0.5), at="2026-11-27T23:59:59Z")),
            row(classified("trip/day/d.jpg", ("cat", 0.3), at="2026-11-28T00:00:00Z")),
            row(classified("trip0/e.jpg", ("bird", 0.7), at="2026-11-29T00:00:00Z")),
            row(rejected("trip/f.jpg", at="2026-11-30T00:00:00Z")),
        ]
    )
    return index


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        (AnswerFilter(label="cat"), ["a.jpg", "trip/c.jpg", "trip/day/d.jpg"]),
        (AnswerFilter(status="rejected"), ["trip/f.jpg"]),
        (AnswerFilter(unsure=0.5), ["b.jpg", "trip/day/d.jpg"]),
        (AnswerFilter(low=0.5, high=0.9), ["a.jpg", "trip/c.jpg", "trip0/e.jpg"]),
        (AnswerFilter(folder="inbox/trip/"), ["trip/c.jpg", "trip/day/d.jpg", "trip/f.jpg"]),
        (AnswerFilter(folder="inbox/"), ["a.jpg", "b.jpg"]),
        (AnswerFilter(since="2026-11-27", until="2026-11-27"), ["b.jpg", "trip/c.jpg"]),
        (AnswerFilter(name="TRIP/"), ["trip/c.jpg", "trip/day/d.jpg", "trip/f.jpg"]),
        (AnswerFilter(name="%"), []),
        (AnswerFilter(name="_"), []),
        (AnswerFilter(model="pets:2"), []),
        (AnswerFilter(label="cat", unsure=0.6, folder="inbox/trip/day/"), ["trip/day/d.jpg"]),
    ],
)
def test_a_filter_selects(filled: AnswerIndex, chosen: AnswerFilter, names: list[str]) -> None:
    assert images(filled, chosen) == names


@pytest.mark.parametrize("decision", DECISIONS)
def test_a_decision_selects(filled: AnswerIndex, decision: Decision) -> None:
    """Those of the domain, so that none is forgotten; most models decide nothing."""
    decided = replace(classified("sure.jpg"), decision=decision)
    filled.put([row(decided)])
    assert images(filled, AnswerFilter(decision=decision)) == ["sure.jpg"]
    assert [(one.value, one.count) for one in filled.decisions()] == [(decision, 1)]
    (selected,) = filled.select(AnswerFilter(decision=decision))
    assert selected.decision == decision


@pytest.mark.parametrize(
    ("sort", "names"),
    [
        ("newest", ["trip/f.jpg", "trip0/e.jpg", "trip/day/d.jpg", "trip/c.jpg", "b.jpg", "a.jpg"]),
        ("oldest", ["a.jpg", "b.jpg", "trip/c.jpg", "trip/day/d.jpg", "trip0/e.jpg", "trip/f.jpg"]),
        ("score", ["a.jpg", "trip0/e.jpg", "trip/c.jpg", "b.jpg", "trip/day/d.jpg", "trip/f.jpg"]),
        (
            "score-up",
            ["trip/day/d.jpg", "b.jpg", "trip/c.jpg", "trip0/e.jpg", "a.jpg", "trip/f.jpg"],
        ),
    ],
)
def test_an_order_is_by_its_value(filled: AnswerIndex, sort: Sort, names: list[str]) -> None:
    assert images(filled, sort=sort) == names


def test_a_seed_is_an_order_and_another_seed_another_one(index: AnswerIndex) -> None:
    index.put(row(classified(f"{number}.jpg")) for number in range(200))
    first = [one.image for one in index.select(sort="sample", seed=1, limit=200)]
    assert first == [one.image for one in index.select(sort="sample", seed=1, limit=200)]
    second = [one.image for one in index.select(sort="sample", seed=2, limit=200)]
    assert first != second
    assert sorted(first) == sorted(second)
    assert len(set(first[:20]) & set(second[:20])) < 10, "the samples are not of the same images"


@pytest.mark.parametrize("sort", get_args(Sort))
def test_pages_follow_each_other_without_gaps(index: AnswerIndex, sort: Sort) -> None:
    """Most have the same score and time: the order is whole all the same."""
    results: list[Result] = [classified(f"{number}.jpg") for number in range(50)]
    results += [rejected(f"r{number}.jpg") for number in range(5)]
    index.put(map(row, results))
    paged: Iterator[AnswerRow] = (
        one for offset in range(0, 60, 7) for one in index.select(EVERYTHING, sort, offset, 7)
    )
    whole = [one.image for one in index.select(sort=sort, limit=100)]
    assert [one.image for one in paged] == whole
    assert len(set(whole)) == 55
    assert [index.position(image, sort=sort) for image in whole] == list(range(55))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_key_is_found_by_every_way(index: AnswerIndex, name: str) -> None:
    index.put([row(classified(name)), row(classified("other.jpg"))])
    stored = index.get(f"inbox/{name}")
    assert stored is not None
    assert stored.image == storable(f"inbox/{name}")
    assert images(index, AnswerFilter(name=name)) == [storable(name)]
    stored.image.encode()


def test_a_hostile_label_is_shown_and_filtered_by(index: AnswerIndex) -> None:
    index.put([row(classified("a.jpg", ("\ud800<b>' OR 1=1", 0.9)))])
    [option] = index.labels()
    assert option.value == "\\ud800<b>' OR 1=1"
    assert images(index, AnswerFilter(label=option.value)) == ["a.jpg"]


@pytest.mark.parametrize("labels", [[("cat", float("nan"))], [("cat", "0.9")], [(7, 0.9)]])
def test_a_document_with_other_values_is_no_row(labels: list[tuple[str, float]]) -> None:
    with pytest.raises((ValueError, TypeError)):
        row(classified("a.jpg", *labels))


def test_the_options_are_counted_and_most_frequent_first(filled: AnswerIndex) -> None:
    assert [(one.value, one.count) for one in filled.labels()] == [
        ("cat", 3),
        ("bird", 1),
        ("dog", 1),
    ]
    assert filled.folders()[0].value == "inbox/"
    assert [one.count for one in filled.models()] == [6]


def test_a_file_that_is_damaged_or_of_another_form_is_filled_again(tmp_path: Path) -> None:
    path = tmp_path / "answers.db"
    path.write_bytes(b"no database" * 100)
    AnswerIndex(path).put([row(classified("a.jpg"))])
    assert AnswerIndex(path).count() == 1, "a whole one is kept"
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    assert AnswerIndex(path).count() == 0


def test_an_index_that_cannot_be_used_is_a_sentence(tmp_path: Path) -> None:
    """A disk that is full in the background ends no thread, and a page says what to do."""
    index = AnswerIndex(tmp_path / "answers.db")
    for path in tmp_path.iterdir():
        path.unlink()
    (tmp_path / "answers.db").write_bytes(b"no database" * 100)
    with pytest.raises(AnswerIndexError, match="cannot be used"):
        index.count()
    with pytest.raises(AnswerIndexError):
        index.put([row(classified("a.jpg"))])


def test_two_consoles_may_begin_at_once(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        indexes = list(threads.map(AnswerIndex, [tmp_path / "answers.db"] * 8))
    indexes[0].put([row(classified("a.jpg"))])
    assert {index.count() for index in indexes} == {1}


def test_a_change_is_seen_by_the_version(filled: AnswerIndex) -> None:
    before = filled.version
    listed = [
        PendingResult(one.result, one.result_etag, one.classified_at) for one in filled.select()
    ]
    filled.compare(listed, "", None)
    assert filled.version == before, "a listing that shows nothing new changes nothing"
    filled.drop(["outbox/a.jpg.json"])
    assert filled.version > before


Names = st.lists(
    st.text(st.sampled_from("ab/0 \u202e😀"), min_size=1, max_size=4), unique=True, max_size=8
)


@given(Names, st.data())
@settings(max_examples=60, deadline=None)
def test_a_listing_leaves_what_it_names(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], data: st.DataObject
) -> None:
    """Any results before, any results listed in pages of any size: the rest is gone, and what is
    new or changed is pending.
    """
    index = AnswerIndex(tmp_path_factory.mktemp("index") / "answers.db")
    before = data.draw(st.sets(st.sampled_from(names)) if names else st.just(set[str]()))
    index.put(row(classified(name), "old") for name in before)
    after = data.draw(
        st.dictionaries(st.sampled_from(names), st.sampled_from(("old", "new")))
        if names
        else st.just(dict[str, str]())
    )
    listed = sorted(
        (PendingResult(result_key(f"inbox/{name}"), etag, "2026") for name, etag in after.items()),
        key=lambda one: one.result,
    )
    size = data.draw(st.integers(1, 3))
    last = ""
    for at in range(0, len(listed), size):
        page = listed[at : at + size]
        index.compare(page, last, page[-1].result)
        last = page[-1].result
    index.compare([], last, None)
    assert set(images(index)) == before & set(after)
    pending = {one.result for one in index.pending(100)}
    changed = {name for name, etag in after.items() if name not in before or etag == "new"}
    assert pending == {result_key(f"inbox/{name}") for name in changed}
