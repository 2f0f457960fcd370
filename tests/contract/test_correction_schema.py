"""docs/correction.schema.json and domain.corrections.form say the same."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from domain.corrections.form import Correction, from_json, to_json
from tests.support.builders import vocabulary as some

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/correction.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)


def document(correction: Correction) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(to_json(correction))
    return read


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@given(some.corrections)
def test_every_correction_keeps_the_schema(correction: Correction) -> None:
    VALIDATOR.validate(document(correction))


@given(some.corrections)
def test_nothing_can_be_left_out_or_added(correction: Correction) -> None:
    whole = document(correction)
    for name in whole:
        rest = {key: value for key, value in whole.items() if key != name}
        assert not VALIDATOR.is_valid(rest), name
        with pytest.raises(ValueError, match="correction"):
            from_json(correction.name, json.dumps(rest))
    assert not VALIDATOR.is_valid(whole | {"extra": 1})


@given(some.words)
def test_what_withdraws_has_no_label(correction: Correction) -> None:
    both = document(correction) | {"to": "skirt", "withdraws": correction.name}
    assert not VALIDATOR.is_valid(both)
    with pytest.raises(ValueError, match="correction"):
        from_json(correction.name, json.dumps(both))
