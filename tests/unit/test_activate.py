"""Names and versions of what is activated."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from domain.model import ActiveModel, ModelCard, ModelId, Preprocessing
from infra.activate import next_version, resource_name
from infra.stage import Stage

CARD = ModelCard(
    name="pets",
    architecture="resnet50",
    labels=("cat", "dog"),
    preprocessing=Preprocessing(256, 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    weights_sha256="0" * 64,
)
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)
MODELS = st.builds(
    ModelId,
    st.from_regex(r"[a-z0-9][a-z0-9-]{0,39}", fullmatch=True),
    st.integers(1, 999_999_999),
    DIGESTS.map("sha256:{}".format),
)


def active(model: ModelId) -> ActiveModel:
    return ActiveModel(model, "sortbox-dev", "sortbox-dev-pets", "2026-01-01T00:00:00Z")


@given(MODELS, MODELS, DIGESTS, DIGESTS)
def test_what_is_made_of_other_parts_has_another_name_that_sagemaker_takes(
    one: ModelId, other: ModelId, container: str, another: str
) -> None:
    stage = Stage("eightlet")
    name = resource_name(stage, one, container)
    assert len(name) <= 63
    assert name.replace("-", "").isalnum()
    assert (resource_name(stage, other, container) == name) == (one == other)
    assert (resource_name(stage, one, another) == name) == (container == another)


def test_the_same_model_keeps_its_version_and_another_of_its_name_counts_on() -> None:
    first = next_version(CARD, None)
    assert first == ModelId("pets", 1, CARD.digest)
    assert next_version(CARD, active(first)) == first
    better = replace(CARD, weights_sha256="1" * 64)
    assert next_version(better, active(first)) == ModelId("pets", 2, better.digest)


def test_a_model_of_another_name_begins_at_one() -> None:
    other = replace(CARD, name="birds")
    assert next_version(other, active(ModelId("pets", 7, CARD.digest))).version == 1
