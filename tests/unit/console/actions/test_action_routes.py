"""Actions over HTTP: what one would run, its start, its lines, its end, and who is kept out."""

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.actions.costs import cost_of
from console.actions.routes import Follower, runner_of
from console.actions.verbs import FieldError, Order
from console.context import Console
from console.web.events import Hub
from infra.local.account import STAGE
from tests.support.consoles.actions import FOLLOW_LOGS, ended, make_stopped_cloud, wait_for_end
from tests.support.worlds.consoles import Client, client, mocked_console

START = {"verb": "stop", "fields": {"job": "sortbox-dev-dogs-1"}}


@pytest.fixture
def console(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    make_stopped_cloud(tmp_path / "cloud", monkeypatch)
    with mocked_console(tmp_path / "console") as console, ended(runner_of(console)):
        yield replace(console, stage=STAGE)


@pytest.fixture
def browser(console: Console) -> Client:
    return client(console)


def test_an_action_is_started_watched_and_found_again(console: Console, browser: Client) -> None:
    started = browser.post("/api/actions", json=START)
    assert started.status_code == 201
    id_ = started.json()["id"]
    wait_for_end(runner_of(console), id_)
    action = browser.get(f"/api/actions/{id_}").json()
    assert not action["running"]
    assert (action["state"], action["code"]) == ("failed", 1)
    assert action["commands"] == ["./sortbox stop --stage=local -- sortbox-dev-dogs-1"]
    assert "There is no local cloud yet. Run `./sortbox up` first." in action["text"]
    rest = browser.get(f"/api/actions/{action['id']}?from={action['to']}").json()
    assert rest["text"] == ""
    [listed] = browser.get("/api/actions").json()["actions"]
    assert listed["id"] == action["id"]
    page = browser.get(f"/actions?id={action['id']}")
    assert "Stop sortbox-dev-dogs-1" in page.text


def test_a_second_one_that_changes_the_model_is_refused_by_name(
    console: Console, browser: Client
) -> None:
    runner = runner_of(console)
    long = Order("train", "Train on photos", (FOLLOW_LOGS,), is_exclusive=True)
    first = runner.start(long)
    refused = browser.post("/api/actions", json={"verb": "rollback", "fields": {}})
    assert refused.status_code == 409
    assert refused.json()["error"].startswith("Train on photos is running, since ")
    runner.stop(first.id)
    wait_for_end(runner, first.id)
    assert browser.get(f"/api/actions/{first.id}").json()["state"] == "interrupted"
    assert browser.post("/api/actions", json={"verb": "rollback"}).status_code == 201


def test_before_the_start_one_sees_the_command_and_the_most_it_costs(
    console: Console, browser: Client
) -> None:
    order = browser.get("/api/order?verb=train&data=s3://bucket/x/&epochs=3").json()
    assert order["commands"] == [
        "./sortbox train --stage=local --epochs=3 --instance-type=ml.m5.xlarge --max-hours=24 "
        "-- s3://bucket/x/"
    ]
    assert order["cost"] == "Nothing: the local cloud runs on this machine."


def test_in_an_account_the_cost_is_that_of_the_command_line(tmp_path: Path) -> None:
    with mocked_console(tmp_path / "console") as console:
        values = {"data": "s3://bucket/x/", "max_hours": "2"}
        assert cost_of(console, "train", values).startswith("At most 2 h on one ml.m5.xlarge: USD ")
        assert "12 trials, 2 at once, and the final fit, of 2 h each" in cost_of(
            console, "tune", values | {"lr": "0.001:0.1"}
        )
        assert "an hour" in cost_of(console, "promote", {"job": "x"})
        assert cost_of(console, "doctor", {}) == ""
        with pytest.raises(FieldError, match="hours of a job"):
            cost_of(console, "train", values | {"max_hours": "0"})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"verb": 1}',
        b'{"verb": "stop", "fields": {"job": ["a"]}}',
        b'{"verb": "stop", "fields": []}',
        b"[" * 60_000,
        json.dumps({"verb": "stop", "fields": {str(n): "x" for n in range(101)}}).encode(),
    ],
    ids=range(8),
)
def test_what_is_no_form_is_refused(browser: Client, body: bytes) -> None:
    answer = browser.post("/api/actions", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("The request is no")


def test_a_form_has_a_bound(browser: Client) -> None:
    long = {"verb": "stop", "fields": {"job": "x" * 2**17}}
    answer = browser.post("/api/actions", json=long)
    assert answer.status_code == 413
    assert answer.json()["error"] == "The request is longer than 65,536 bytes."


@pytest.mark.parametrize("start", ["²", "-1", "x", "9" * 30])
def test_an_odd_offset_into_a_log_is_its_beginning(
    console: Console, browser: Client, start: str
) -> None:
    id_ = browser.post("/api/actions", json=START).json()["id"]
    wait_for_end(runner_of(console), id_)
    answer = browser.get(f"/api/actions/{id_}", params={"from": start})
    assert (answer.status_code, answer.json()["from"]) == (200, 0)


def test_nothing_starts_without_the_pages_own_token_or_in_a_read_only_console(
    console: Console, browser: Client
) -> None:
    stranger = replace(browser, headers={})
    assert stranger.post("/api/actions", json=START).status_code == 403
    reader = client(replace(console, read_only=True))
    assert reader.post("/api/actions", json=START).status_code == 403
    assert runner_of(console).actions() == []


def test_an_unknown_action_is_a_sentence(browser: Client) -> None:
    answer = browser.get("/api/actions/20260101T000000000000-00000000")
    assert answer.status_code == 400
    assert "There is no action" in answer.json()["error"]
    assert browser.post("/api/actions/nobody/stop").status_code == 400


class Notes(Hub):
    """Keeps what is published."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[dict[str, Any]] = []

    def publish(self, topic: str, data: Any) -> None:
        self.notes.append({"topic": topic, **data})


def test_pages_hear_the_lines_once_and_the_end(console: Console) -> None:
    runner, hub = runner_of(console), Notes()
    follower = Follower(runner, hub)
    action = runner.start(Order("stop", "Stop", (("--version",), ("promte",)), False))
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        follower.follow()
        if hub.notes and not hub.notes[-1]["running"]:
            break
        time.sleep(0.02)
    assert {event["topic"] for event in hub.notes} == {"action"}
    assert hub.notes[-1]["state"] == "failed: the command line is wrong"
    text = "".join(event["text"] for event in hub.notes)
    assert text == runner.output(action.id).text
    count = len(hub.notes)
    follower.follow()
    assert len(hub.notes) == count, "an end is said once"
