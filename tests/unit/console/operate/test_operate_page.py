"""The page of operation: a part that cannot be read says why, and hides no other."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from console.context import Console
from console.operate.facts import Operation, monthly_cost
from tests.support.consoles.operated import operated_console
from tests.support.fakes.aws import error
from tests.support.worlds.consoles import client


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with operated_console(tmp_path / "console") as console:
        yield console


def test_queues_dead_letters_alarms_and_the_endpoint_are_shown(console: Console) -> None:
    text = client(console).get("/operate").text
    assert "The active model is dogs:2" in text
    assert "Endpoint sortbox-dev does not exist:" in text
    assert "The backlog queue is empty." in text
    assert "inbox: 1 <button" in text
    assert "sortbox-dev-inbox-dead-letters" in text
    assert ">rings</td>" in text


def test_what_a_month_costs_is_the_price_tables(console: Console) -> None:
    costs, prices = monthly_cost(console, 50_000)
    text = client(console).get("/operate?images_per_day=50000").text
    assert f"{costs.batch:,.2f}" in text
    assert prices.source in text


@pytest.mark.parametrize("images", ["", "-1", "0", "x", "9" * 40, "²"])
def test_a_strange_number_of_images_is_no_failure(console: Console, images: str) -> None:
    answer = client(console).get("/operate", params={"images_per_day": images})
    assert answer.status_code == 200


class Denied:
    """A service whose every call is refused."""

    def __getattr__(self, name: str) -> Any:
        raise error(name, 403, "AccessDenied")


def test_what_may_not_be_read_hides_nothing_else(console: Console) -> None:
    denied: Any = Denied()
    parts = Operation(replace(console, sqs=denied), denied).parts()
    assert "may not do that" in parts["alarms"].problem
    assert "may not do that" in parts["queues"].problem
    assert parts["stage"].rows
    assert not parts["stage"].problem
