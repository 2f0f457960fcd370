"""docs/result.schema.json and domain.result say the same."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from domain.result import Classified, Result, from_json, to_json
from tests.support.builders import vocabulary as some

SCHEMA = json.loads((Path(__file__).parents[2] / "docs/result.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)


def document(result: Result) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(to_json(result))
    return read


def test_the_schema_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@given(some.results)
def test_every_result_keeps_the_schema(result: Result) -> None:
    VALIDATOR.validate(document(result))


@given(some.results)
def test_nothing_in_a_result_can_be_left_out(result: Result) -> None:
    for name in document(result).keys() - {"previous", "decision"}:
        rest = {key: value for key, value in document(result).items() if key != name}
        assert not VALIDATOR.is_valid(rest), name
        with pytest.raises(ValueError, match="result"):
            from_json(json.dumps(rest))


@given(some.results.filter(lambda result: result.previous is not None))
def test_nothing_in_a_previous_answer_can_be_left_out(result: Result) -> None:
    whole = document(result)
    for name in whole["previous"]:
        rest = {key: value for key, value in whole["previous"].items() if key != name}
        assert not VALIDATOR.is_valid(whole | {"previous": rest}), name
        with pytest.raises(ValueError, match="result"):
            from_json(json.dumps(whole | {"previous": rest}))


@given(some.results)
def test_a_property_that_the_schema_does_not_name_is_refused(result: Result) -> None:
    assert not VALIDATOR.is_valid(document(result) | {"extra": 1})
    assert not VALIDATOR.is_valid(
        document(result) | {"source": document(result)["source"] | {"extra": 1}}
    )


@given(some.classified, some.rejected)
def test_a_result_is_either_labels_or_a_rejection(one: Result, other: Result) -> None:
    assert not VALIDATOR.is_valid(document(other) | document(one))
    assert not VALIDATOR.is_valid(document(one) | {"status": "rejected"})
    assert not VALIDATOR.is_valid(document(other) | {"status": "classified"})


@given(some.classified)
def test_labels_come_from_a_model(result: Classified) -> None:
    assert not VALIDATOR.is_valid(document(result) | {"model": None})


@pytest.mark.parametrize("schema", [0, 2, "1", None])
@given(some.results)
def test_another_schemas_result_is_read_by_neither(schema: object, result: Result) -> None:
    other = document(result) | {"schema": schema}
    assert not VALIDATOR.is_valid(other)
    with pytest.raises(ValueError, match="schema"):
        from_json(json.dumps(other))
