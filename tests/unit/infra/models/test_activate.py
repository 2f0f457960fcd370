"""Names and versions of what is activated, and the order in which it becomes active."""

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from aws import active_model
from domain.keys import ACTIVE_MODEL
from domain.model import ActiveModel, EndpointMode, ModelCard, ModelId, Preprocessing
from infra.endpoint_settings import EndpointSettings
from infra.models.activate import (
    ActivationError,
    FailedModelError,
    follow_settings,
    next_version,
    resource_name,
    serve,
)
from infra.models.endpoint import ModelContainer, ensure_model
from infra.stage import Stage
from tests.support.fakes.aws import FakeS3
from tests.support.worlds.activation import Endpoint, Here, remove

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


def pets(version: int) -> ModelId:
    return ModelId("pets", version, f"sha256:{version:064x}")


IMAGE = f"image@sha256:{7:064x}"


def serve_here(s3: FakeS3, endpoint: Endpoint, version: int) -> ActiveModel:
    client: Any = s3
    sagemaker: Any = endpoint
    return serve(Here("test"), client, sagemaker, pets(version), IMAGE)


def pointed_at(s3: FakeS3) -> ModelId | None:
    client: Any = s3
    active = active_model.read(client, "bucket").active
    return active.id if active else None


def test_the_pointer_moves_when_the_endpoint_is_up_and_not_before() -> None:
    s3, endpoint = FakeS3(), Endpoint()
    serve_here(s3, endpoint, 1)
    seen: list[ModelId | None] = []
    endpoint.comes_up = lambda: seen.append(pointed_at(s3))
    serve_here(s3, endpoint, 2)
    assert seen == [pets(1)], (
        "The pointer names a model that nobody serves yet: every answer by the one that still "
        "serves is queued to be looked at again, and jobs and endpoint answer by two models."
    )
    assert pointed_at(s3) == pets(2)


def test_an_endpoint_that_goes_back_leaves_the_pointer_where_it_was() -> None:
    s3, endpoint = FakeS3(), Endpoint()
    serve_here(s3, endpoint, 1)
    before = endpoint.config
    endpoint.comes_up = lambda: setattr(endpoint, "config", before)
    with pytest.raises(FailedModelError, match="still runs the model before: its alarm rang"):
        serve_here(s3, endpoint, 2)
    assert pointed_at(s3) == pets(1)


def test_an_update_by_somebody_else_says_nothing_against_the_model() -> None:
    s3, endpoint = FakeS3(), Endpoint()
    serve_here(s3, endpoint, 1)
    endpoint.comes_up = lambda: setattr(endpoint, "config", "theirs")
    with pytest.raises(ActivationError, match="was updated to theirs meanwhile") as raised:
        serve_here(s3, endpoint, 2)
    assert not isinstance(raised.value, FailedModelError)
    assert pointed_at(s3) == pets(1)


def test_a_pointer_that_somebody_moves_while_the_endpoint_comes_up_stays_theirs() -> None:
    s3, endpoint = FakeS3(), Endpoint()
    serve_here(s3, endpoint, 1)
    theirs = active(pets(3)).to_json()
    endpoint.comes_up = lambda: void(s3.put_object(Bucket="bucket", Key=ACTIVE_MODEL, Body=theirs))
    with pytest.raises(ActivationError, match="run this again"):
        serve_here(s3, endpoint, 2)
    assert pointed_at(s3) == pets(3), (
        "The pointer has to be read before the minutes of waiting: read after them, it takes "
        "another's promotion for what was there, and overwrites it without a word."
    )


def void(_: object) -> None:
    """For a callback that is to return nothing."""


def test_the_model_that_is_active_already_moves_nothing() -> None:
    s3, endpoint = FakeS3(), Endpoint()
    serve_here(s3, endpoint, 1)
    before = s3.objects[ACTIVE_MODEL]
    serve_here(s3, endpoint, 1)
    assert s3.objects[ACTIVE_MODEL] == before, "doing it twice is doing it once"


@pytest.mark.parametrize("version", [1, 2])
def test_a_quota_that_is_too_small_is_a_sentence_and_the_same_command_goes_on(version: int) -> None:
    """The first needs one machine, an update a second; SageMaker's words for either are these."""
    s3, endpoint = FakeS3(), Endpoint()
    if version == 2:
        serve_here(s3, endpoint, 1)
    before = pointed_at(s3)
    endpoint.refusal = (
        "The account-level service limit 'ml.m5.xlarge for endpoint usage' is "
        f"{version - 1} Instances, with current utilization of {version - 1} Instances and a "
        "request delta of 1 Instances."
    )
    with pytest.raises(ActivationError, match=r"'ml\.m5\.xlarge for endpoint usage'.*ask for more"):
        serve_here(s3, endpoint, version)
    assert pointed_at(s3) == before
    endpoint.refusal = None
    serve_here(s3, endpoint, version)
    assert pointed_at(s3) == pets(version)


class Ringing(Here):
    def is_endpoint_alarm_ringing(self) -> bool:
        return True


def test_an_alarm_that_rings_already_does_not_undo_the_update_that_mends_it(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """SageMaker rolls an update back when one of its alarms is in ALARM meanwhile."""
    s3, endpoint = FakeS3(), Endpoint()
    client: Any = s3
    sagemaker: Any = endpoint
    serve(Here("test"), client, sagemaker, pets(1), IMAGE)
    serve(Here("test"), client, sagemaker, pets(2), IMAGE)
    alarms = endpoint.deployment["AutoRollbackConfiguration"]["Alarms"]
    assert alarms == [{"AlarmName": "sortbox-test-endpoint-errors"}]
    assert not capsys.readouterr().err
    serve(Ringing("test"), client, sagemaker, pets(3), IMAGE)
    assert "AutoRollbackConfiguration" not in endpoint.deployment
    assert "BlueGreenUpdatePolicy" in endpoint.deployment
    assert "sortbox-test-endpoint-errors rings already" in capsys.readouterr().err


def test_what_is_active_is_served_again_after_its_endpoint_was_removed() -> None:
    s3, endpoint = FakeS3(), Endpoint()
    serve_here(s3, endpoint, 1)
    made = set(endpoint.made)
    remove(endpoint)
    serve_here(s3, endpoint, 1)
    assert endpoint.made == made
    assert len(made) == 3, "model, configuration and endpoint"


@pytest.mark.parametrize("ends", ["InService", "Failed"])
@pytest.mark.parametrize("status", ["Creating", "SystemUpdating", "Deleting", "Failed"])
def test_what_an_interrupted_activation_or_removal_left_is_no_obstacle(
    status: str, ends: str
) -> None:
    s3, endpoint = FakeS3(), Endpoint()
    serve_here(s3, endpoint, 1)
    endpoint.status, endpoint.creation_ends = status, ends
    serve_here(s3, endpoint, 2)
    assert (endpoint.status, pointed_at(s3)) == ("InService", pets(2))


class Models:
    """SageMaker as far as one model is made; with what a stage says for it."""

    tags: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []

    def describe_model(self, ModelName: str) -> None:
        absent: Any = {"Code": "ValidationException", "Message": "Could not find model"}
        raise ClientError({"Error": absent}, "DescribeModel")

    def create_model(self, **members: Any) -> None:
        self.made.append(members)

    def model_role(self) -> str:
        return "arn:aws:iam::000000000000:role/model"


def test_a_models_container_has_no_network_and_no_credentials() -> None:
    """It may read a stranger's model; SageMaker moves archives, images and outputs for it."""
    models: Any = Models()
    container = ModelContainer("image", "s3://bucket/model.tar.gz", {})
    ensure_model(models, models, "pets", container)
    (made,) = models.made
    assert made["EnableNetworkIsolation"] is True


def switch(s3: FakeS3, endpoint: Endpoint, mode: EndpointMode, memory: int = 4096) -> ActiveModel:
    class Switched(Here):
        settings = EndpointSettings(mode, memory)

    client: Any = s3
    sagemaker: Any = endpoint
    active = follow_settings(Switched("test"), client, sagemaker, lambda before: IMAGE)
    assert active is not None
    return active


def pointer(s3: FakeS3) -> ActiveModel:
    client: Any = s3
    active = active_model.read(client, "bucket").active
    assert active is not None
    return active


def endpoints(endpoint: Endpoint) -> set[str]:
    """Those that SageMaker does not delete at the moment."""
    gone = {"endpoint"} if endpoint.status == "Deleting" else set()
    return {name for name in endpoint.made if name.startswith("endpoint")} - gone


class Modes(Endpoint):
    """Knows the image of its models, as DescribeModel does."""

    def describe_model(self, *, ModelName: str) -> dict[str, Any]:
        return self._describe(f"model {ModelName}") | {"PrimaryContainer": {"Image": IMAGE}}


def test_a_switch_makes_the_new_endpoint_moves_the_pointer_and_deletes_the_old() -> None:
    s3, endpoint = FakeS3(), Modes()
    serve_here(s3, endpoint, 1)
    seen: list[tuple[str | None, set[str]]] = []
    endpoint.comes_up = lambda: seen.append((pointer(s3).endpoint, endpoints(endpoint)))
    switched = switch(s3, endpoint, "serverless")
    name, there = seen[0]
    assert name == "sortbox-test", "until the new endpoint is up, the old one answers"
    assert "endpoint" in there
    assert (switched.id, switched.mode) == (pets(1), "serverless")
    assert pointer(s3) == switched
    assert endpoints(endpoint) == {"endpoint sortbox-test-serverless"}


def test_without_an_endpoint_the_pointer_names_none_and_none_bills() -> None:
    s3, endpoint = FakeS3(), Modes()
    serve_here(s3, endpoint, 1)
    switched = switch(s3, endpoint, "none")
    assert (switched.endpoint, switched.mode) == (None, "none")
    assert switched.sagemaker_model == f"{resource_name(Here('test'), pets(1), IMAGE[-64:])}"
    assert endpoints(endpoint) == set()
    back = switch(s3, endpoint, "instance")
    assert back.endpoint == "sortbox-test"
    assert endpoints(endpoint) == {"endpoint"}


def test_a_switch_twice_is_a_switch_once() -> None:
    s3, endpoint = FakeS3(), Modes()
    serve_here(s3, endpoint, 1)
    switch(s3, endpoint, "none")
    before = s3.objects[ACTIVE_MODEL]
    switch(s3, endpoint, "none")
    assert s3.objects[ACTIVE_MODEL] == before


def test_another_memory_is_another_configuration_of_the_same_endpoint() -> None:
    s3, endpoint = FakeS3(), Modes()
    serve_here(s3, endpoint, 1)
    switch(s3, endpoint, "serverless", 1024)
    first = endpoint.serverless
    active = switch(s3, endpoint, "serverless", 2048)
    assert endpoint.serverless != first
    assert active.endpoint == "sortbox-test-serverless"


def test_jobs_keep_a_model_without_a_network_where_the_endpoint_needs_one() -> None:
    """A serverless endpoint takes no isolated model; jobs read strangers' images as before."""
    made: dict[str, bool] = {}

    class Recording(Modes):
        def create_model(self, *, ModelName: str, **members: Any) -> None:
            made[ModelName] = members["EnableNetworkIsolation"]
            super().create_model(ModelName=ModelName)

    s3, endpoint = FakeS3(), Recording()
    serve_here(s3, endpoint, 1)
    active = switch(s3, endpoint, "serverless")
    assert made[active.sagemaker_model] is True
    assert endpoint.serverless is not None
    assert made[endpoint.serverless] is False


def test_nothing_is_switched_where_no_model_is_active() -> None:
    client: Any = FakeS3()
    sagemaker: Any = Modes()
    assert follow_settings(Here("test"), client, sagemaker) is None
    assert sagemaker.made == set()
