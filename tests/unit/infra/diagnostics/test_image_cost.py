"""Dollars per million images: the sum of its parts, and the table that the documentation shows."""

from dataclasses import replace

import pytest

from infra.diagnostics.cost import load_prices
from infra.diagnostics.image_cost import REQUESTS, SPEEDS, per_million, table
from infra.shipped import REPOSITORY

PRICES = load_prices()


def test_the_documentation_shows_the_computed_table() -> None:
    page = (REPOSITORY / "docs" / "how-to" / "costs.md").read_text()
    assert table(PRICES) in page, "prices or speeds have changed: copy the table"


def test_a_machine_twice_as_fast_costs_half_and_changes_nothing_else() -> None:
    slow = per_million(PRICES, "batch", "ml.m5.xlarge", 100)
    fast = per_million(PRICES, "batch", "ml.m5.xlarge", 200)
    assert slow.machine == pytest.approx(2 * fast.machine)
    assert (slow.functions, slow.requests) == (fast.functions, fast.requests)


def test_a_million_at_a_hundred_a_second_are_ten_thousand_seconds() -> None:
    prices = replace(PRICES, instance_hour={"ml.m5.xlarge": 0.36})
    assert per_million(prices, "batch", "ml.m5.xlarge", 100).machine == pytest.approx(1.0)


@pytest.mark.parametrize("route", REQUESTS)
def test_every_type_of_the_table_has_a_price(route: str) -> None:
    for name, speed in SPEEDS.items():
        cost = per_million(PRICES, route, name, speed.rate)
        parts = (cost.machine, cost.data, cost.functions, cost.requests)
        assert cost.total == pytest.approx(sum(parts))
        assert cost.requests > cost.machine, "what the documentation says of it"
