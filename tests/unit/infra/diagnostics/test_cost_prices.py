"""The price table: dated, of one region, edited by people."""

import json
import re
from pathlib import Path

import pytest

from infra.diagnostics.cost import TABLE, PriceError, load_prices


def test_the_table_names_its_region_and_its_day() -> None:
    prices = load_prices()
    assert re.fullmatch(r"[a-z]{2}-[a-z]+-\d", prices.region)
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", prices.as_of)
    assert prices.region in prices.source
    assert prices.as_of in prices.source


def test_an_instance_that_is_not_listed_is_named() -> None:
    with pytest.raises(PriceError, match=r"no price for ml\.x9\.tiny"):
        load_prices().hour("ml.x9.tiny")


@pytest.mark.parametrize(("text", "why"), [("{", "not JSON"), ("{}", "must hold exactly")])
def test_a_table_that_was_edited_wrongly_says_so(tmp_path: Path, text: str, why: str) -> None:
    table = tmp_path / "prices.json"
    table.write_text(text)
    with pytest.raises(PriceError, match=why):
        load_prices(table)


def test_an_edited_price_is_the_one_that_is_used(tmp_path: Path) -> None:
    prices = json.loads(TABLE.read_text())
    prices["instance_hour"]["ml.m5.xlarge"]["price"] = 9.75
    table = tmp_path / "prices.json"
    table.write_text(json.dumps(prices))
    assert load_prices(table).hour("ml.m5.xlarge") == 9.75


def test_each_line_has_a_day_and_a_source() -> None:
    prices = load_prices()
    assert {"ml.m5.xlarge", "ml.c7i.xlarge", "hosting_gb"} < prices.lines.keys()
    for name, line in prices.lines.items():
        assert line.source, name
        assert re.fullmatch(r"\d{4}-\d{2}-\d{2}", line.as_of), name
    assert prices.as_of == min(line.as_of for line in prices.lines.values())


@pytest.mark.parametrize(
    "line",
    [
        0.23,
        None,
        {"price": 0.23, "as_of": "2026-11-29"},
        {"price": 0.23, "as_of": "yesterday", "source": "aws"},
        {"price": 0.23, "as_of": "2026-11-29", "source": "hearsay"},
        {"price": "0.23", "as_of": "2026-11-29", "source": "aws"},
        {"price": -1, "as_of": "2026-11-29", "source": "aws"},
    ],
)
def test_a_line_without_price_day_or_source_is_named(tmp_path: Path, line: object) -> None:
    prices = json.loads(TABLE.read_text())
    prices["instance_hour"]["ml.m5.xlarge"] = line
    table = tmp_path / "prices.json"
    table.write_text(json.dumps(prices))
    with pytest.raises(PriceError, match=r"the line of ml\.m5\.xlarge must hold"):
        load_prices(table)
