"""The emulator's state on disk: what is there after the process has ended without a word."""

import sqlite3
from pathlib import Path

import pytest

from infra.local.persistence.state_database import StateDatabase


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def test_what_was_saved_is_there_without_an_orderly_end(file: Path) -> None:
    store = StateDatabase(file)
    store.save({"s3": "buckets", "iam": "roles"})
    store.add(("inbox", "1", "first"))
    store.add(("inbox", "2", "second"))
    store.remove("inbox", ["1"])
    after = StateDatabase(file)  # the first one is never closed
    assert [after.service(name) for name in ("s3", "iam", "sqs")] == ["buckets", "roles", None]
    assert list(after.messages()) == [("inbox", "2", "second")]


def test_services_are_saved_together_or_not_at_all(file: Path) -> None:
    store = StateDatabase(file)
    store.save({"s3": "old", "iam": "old"})
    unsaveable: dict[str, str] = {"s3": "new", "iam": None}  # type: ignore[dict-item]
    with pytest.raises(sqlite3.IntegrityError):
        store.save(unsaveable)
    assert [StateDatabase(file).service(name) for name in ("s3", "iam")] == ["old", "old"]
    store.save({"s3": "new", "iam": "new"})
    assert [StateDatabase(file).service(name) for name in ("s3", "iam")] == ["new", "new"]


def test_at_the_end_messages_are_replaced_by_what_they_are_now(file: Path) -> None:
    store = StateDatabase(file)
    store.add(("inbox", "1", "never received"))
    store.save({}, [("inbox", "1", "received twice"), ("page", "2", "new")])
    assert list(StateDatabase(file).messages()) == [
        ("inbox", "1", "received twice"),
        ("page", "2", "new"),
    ]


def test_the_same_id_in_two_queues_is_two_messages(file: Path) -> None:
    store = StateDatabase(file)
    store.add(("inbox", "1", "here"))
    store.add(("inbox-dead", "1", "there"))
    store.remove("inbox", ["1"])
    assert list(store.messages()) == [("inbox-dead", "1", "there")]


def test_a_write_that_the_disk_refuses_raises_and_leaves_what_was_there(file: Path) -> None:
    store = StateDatabase(file)
    store.save({"s3": "old"})
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages + 2}")  # what a full disk looks like
    with pytest.raises(sqlite3.Error, match="full"):
        store.save({"s3": "x" * 1_000_000})
    with pytest.raises(sqlite3.Error, match="full"):
        store.add(("inbox", "1", "x" * 1_000_000))
    assert StateDatabase(file).service("s3") == "old"
    store.remove("inbox", ["1"])
    store.save({"s3": "small"})
    assert StateDatabase(file).service("s3") == "small"
