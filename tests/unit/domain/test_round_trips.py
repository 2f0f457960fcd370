"""Models, replies and results: what is written is read back, and nothing else taken for it."""

import json

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from domain import reply, result
from domain.model import ActiveModel, ModelCard, ModelId
from domain.reply import Reply
from domain.result import Result
from tests.support.builders import vocabulary as some


@given(some.model_ids)
def test_a_model_id_is_read_back(model: ModelId) -> None:
    assert ModelId.parse(str(model)) == model
    assert str(model).isascii(), "S3 metadata holds it"


@given(st.from_regex(r"[a-z]{1,3}:\d{1,10}:sha256:[0-9a-f]{64}", fullmatch=True))
def test_a_text_is_a_model_id_only_if_a_model_would_have_it(text: str) -> None:
    try:
        model = ModelId.parse(text)
    except ValueError:
        return
    assert str(model) == text


@given(some.replies)
def test_a_reply_is_read_back(said: Reply) -> None:
    assert reply.from_json(reply.to_json(said)) == said


@given(some.results)
def test_a_result_is_read_back(answer: Result) -> None:
    assert result.from_json(result.to_json(answer)) == answer
    assert result.from_json(result.to_json(answer).encode()) == answer


@given(some.results)
def test_a_results_metadata_is_what_s3_can_hold(answer: Result) -> None:
    for name, value in result.metadata(answer).items():
        assert f"{name}{value}".isascii()
        assert value == value.strip()


@given(some.cards)
def test_a_card_is_read_back_and_keeps_its_digest(card: ModelCard) -> None:
    read = ModelCard.from_json(card.to_json())
    assert read == card
    assert read.digest == card.digest


@given(some.active_models)
def test_the_pointer_is_read_back(pointer: ActiveModel) -> None:
    assert ActiveModel.from_json(pointer.to_json()) == pointer


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | some.texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(some.texts, inner, max_size=3),
    max_leaves=5,
)


@given(some.replies, st.data())
def test_a_reply_with_a_field_of_another_type_is_no_reply(said: Reply, data: st.DataObject) -> None:
    fields = json.loads(reply.to_json(said))
    name = data.draw(st.sampled_from(sorted(fields)))
    value = data.draw(json_values)
    assume(type(value) is not type(fields[name]))
    assume(not (isinstance(value, int | float) and isinstance(fields[name], int | float)))
    with pytest.raises(ValueError, match="not a reply"):
        reply.from_json(json.dumps(fields | {name: value}))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_score_that_json_does_not_know_is_no_reply(number: str) -> None:
    body = (
        '{"server": {"model_id": "m", "container": "c"}, "labels": [{"label": "cat", "score":'
        f' {number}}}], "width": 1, "height": 1, "format": "jpeg", "model_ms": 1.0}}'
    )
    with pytest.raises(ValueError, match="not a reply"):
        reply.from_json(body)
