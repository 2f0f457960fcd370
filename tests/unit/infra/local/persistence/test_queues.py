"""Queues of the emulator that survive it: what is appended and filtered is so on disk as well."""

import copy
import json
import time
from pathlib import Path
from typing import Any

import pytest

from infra.local.persistence.queues import DurableQueue, QueueTable
from infra.local.persistence.state_database import StateDatabase

KEY = ("000000000000", "us-east-1", "http://localhost:4566/000000000000/inbox")
OTHER = ("000000000000", "us-east-1", "http://localhost:4566/000000000000/page")
LONG_AGO = 1_000_000_000.0


def message(id_: str, received: int = 0, sent_at: float = LONG_AGO) -> dict[str, Any]:
    return {
        "id": id_,
        "body": f"body of {id_}",
        "sent_at": sent_at,
        "visible_at": sent_at,
        "receive_count": received,
    }


class World:
    """A table over a file, and the table that a new process would see."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "state.db"
        self.table = QueueTable(StateDatabase(self.file), json.dumps)
        self.table[KEY] = {"name": "inbox", "messages": []}

    @property
    def queue(self) -> DurableQueue:
        return self.table[KEY]

    def restarted(self, *keys: tuple[str, str, str]) -> QueueTable:
        table = QueueTable(StateDatabase(self.file), json.dumps)
        for key in keys or (KEY,):
            table[key] = {"name": "inbox", "messages": []}
        table.restore()
        return table

    def ids(self) -> list[str]:
        return [each["id"] for each in self.restarted()[KEY]["messages"]]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_messages_come_back_in_order(world: World) -> None:
    for id_ in ("b", "a", "c"):
        world.queue["messages"].append(message(id_))
    assert world.restarted()[KEY]["messages"] == [message("b"), message("a"), message("c")]


def test_what_is_filtered_out_is_gone(world: World) -> None:
    for id_ in ("a", "b", "c"):
        world.queue["messages"].append(message(id_, received=1))
    world.queue["messages"] = [each for each in world.queue["messages"] if each["id"] != "b"]
    assert [each["id"] for each in world.queue["messages"]] == ["a", "c"]
    assert world.ids() == ["a", "c"]


@pytest.mark.parametrize("received", [0, 1], ids=["waits", "was received by a third"])
def test_what_another_thread_appends_while_one_filters_is_kept(world: World, received: int) -> None:
    world.queue["messages"].append(message("done", received=1))
    kept = [each for each in world.queue["messages"] if each["id"] != "done"]
    world.queue["messages"].append(message("late", received, sent_at=time.time()))
    world.queue["messages"] = kept
    assert [each["id"] for each in world.queue["messages"]] == ["late"]
    assert world.ids() == ["late"]


def test_two_who_delete_at_the_same_time_both_delete(world: World) -> None:
    """Each filters the list as it was; the second's result is as long as the list is by then."""
    for id_ in ("a", "b", "c"):
        world.queue["messages"].append(message(id_, received=1))
    first, second = (
        [each for each in world.queue["messages"] if each["id"] != gone] for gone in ("a", "b")
    )
    world.queue["messages"] = first
    world.queue["messages"] = second
    assert [each["id"] for each in world.queue["messages"]] == ["c"]
    assert world.ids() == ["c"]


def test_who_looks_for_a_message_finds_it_while_another_is_deleted(world: World) -> None:
    """Who puts a message off has to find it: it would stay hidden for up to 40 minutes."""
    for id_ in ("a", "b", "c"):
        world.queue["messages"].append(message(id_, received=1))
    looking = iter(world.queue["messages"])
    first = next(looking)
    world.queue["messages"] = [each for each in world.queue["messages"] if each["id"] != "a"]
    assert [first["id"], *(each["id"] for each in looking)] == ["a", "b", "c"]


def test_who_filters_loses_nothing_to_one_who_deletes_meanwhile(world: World) -> None:
    for id_ in ("a", "b", "c"):
        world.queue["messages"].append(message(id_, received=1))
    filtered = (each for each in world.queue["messages"] if each["id"] != "c")
    kept = [next(filtered)]
    world.queue["messages"] = [each for each in list(world.queue["messages"]) if each["id"] != "a"]
    world.queue["messages"] = [*kept, *filtered]
    assert [each["id"] for each in world.queue["messages"]] == ["b"]
    assert world.ids() == ["b"], "a message that nobody has deleted is lost"


class BusyStore(StateDatabase):
    """While it writes a deletion, other threads run: here one of them sends a message."""

    table: QueueTable

    def remove(self, queue: str, ids: Any) -> None:
        self.table[KEY]["messages"].append(message("late", sent_at=time.time()))
        super().remove(queue, ids)


def test_what_is_appended_while_a_deletion_is_written_is_kept(tmp_path: Path) -> None:
    """Such a message was lost until a restart."""
    store = BusyStore(tmp_path / "state.db")
    store.table = QueueTable(store, json.dumps)
    store.table[KEY] = {"name": "inbox", "messages": []}
    store.table[KEY]["messages"].append(message("a", received=1))
    store.table[KEY]["messages"] = []
    assert [each["id"] for each in store.table[KEY]["messages"]] == ["late"]


def test_an_expired_message_that_nobody_received_is_gone(world: World) -> None:
    world.queue["messages"].append(message("expired"))
    world.queue["messages"] = []
    assert world.ids() == []


@pytest.mark.parametrize("how", ["remove", "clear", "pop", "delete the queue"])
def test_every_other_way_to_delete_is_durable(world: World, how: str) -> None:
    messages = world.queue["messages"]
    messages.append(message("a"))
    if how == "remove":
        messages.remove(message("a"))
    elif how == "clear":
        messages.clear()
    elif how == "pop":
        messages.pop()
    else:
        world.table.pop(KEY)
    assert world.ids() == []


def test_who_worked_on_a_message_has_ended_so_it_is_free_at_once(world: World) -> None:
    hidden = {**message("a", received=3), "visible_at": time.time() + 1800}
    waiting = {**message("b"), "visible_at": time.time() + 900}
    for each in (hidden, waiting):
        world.queue["messages"].append(each)
    received, delayed = world.restarted()[KEY]["messages"]
    assert received["visible_at"] <= time.time()
    assert received["receive_count"] == 3
    assert delayed == waiting, "a delay that the sender asked for goes on"


def test_messages_of_a_queue_that_is_gone_go_with_it(world: World) -> None:
    world.table[OTHER] = {"name": "page", "messages": []}
    world.table[OTHER]["messages"].append(message("a"))
    world.restarted(KEY)
    assert world.restarted(KEY, OTHER)[OTHER]["messages"] == []


def test_messages_of_a_file_from_before_are_taken_over(world: World) -> None:
    world.table.update({OTHER: {"name": "page", "messages": [message("old")]}})
    assert world.restarted(KEY, OTHER)[OTHER]["messages"] == [message("old")]


def test_a_copy_for_the_services_state_is_plain_and_empty(world: World) -> None:
    world.queue["messages"].append(message("a"))
    copied = copy.deepcopy(world.table)
    assert copied == {KEY: {"name": "inbox", "messages": []}}
    assert type(copied[KEY]) is dict
    assert list(world.table.messages()) == [(" ".join(KEY), "a", json.dumps(message("a")))]
