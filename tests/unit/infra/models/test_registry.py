"""What the registry is sent, held to the service model's own patterns."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.model import ModelCard, Preprocessing
from infra.local.sagemaker.core import shapes
from infra.local.sagemaker.core.errors import ValidationException
from infra.models.registry import ModelVersion, RegistryEntry, decide, metadata, register
from infra.stage import Stage

REASON = "it's smaller, and faster (ask Ann); 50 % less!"
ARN = "arn:aws:sagemaker:eu-west-1:111122223333:model-package/sortbox-dev-pets/1"


class Registry:
    """Takes what the service model allows."""

    def __init__(self) -> None:
        self.versions: list[dict[str, Any]] = []

    def create_model_package_group(self, **request: Any) -> None:
        shapes.validate("CreateModelPackageGroup", request)

    def create_model_package(self, **request: Any) -> dict[str, str]:
        shapes.validate("CreateModelPackage", request)
        self.versions.append(request)
        return {"ModelPackageArn": ARN}

    def update_model_package(self, **request: Any) -> None:
        shapes.validate("UpdateModelPackage", request)


def sent(name: str = "pets", made_by: str = "a job", **about: str) -> dict[str, str]:
    """The metadata of one version."""
    registry = Registry()
    sagemaker: Any = registry
    numbers = Preprocessing(256, 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    card = ModelCard(name, "resnet50", ("cat", "dog"), numbers, "0" * 64)
    image = f"111122223333.dkr.ecr.eu-west-1.amazonaws.com/sortbox@sha256:{7:064x}"
    entry = RegistryEntry(
        card, image, "s3://b/model.tar.gz", "s3://b/evaluation.json", made_by, about
    )
    register(Stage("dev"), sagemaker, entry)
    found: dict[str, str] = registry.versions[0]["CustomerMetadataProperties"]
    return found


def test_the_service_model_refuses_punctuation_in_metadata() -> None:
    request = {"ModelPackageArn": ARN, "CustomerMetadataProperties": {"override": REASON}}
    with pytest.raises(ValidationException, match="regular expression pattern"):
        shapes.validate("UpdateModelPackage", request)
    request["CustomerMetadataProperties"] = {"override": "größer, \u00e0 50".replace(",", "")}
    shapes.validate("UpdateModelPackage", request)


@pytest.mark.parametrize("reason", [REASON, "größer, schneller", "line\nbreak", "x" * 300, "!?"])
def test_a_reason_in_any_words_is_registered(reason: str) -> None:
    found = sent(override=reason)
    assert found.get("override", "") == metadata(reason)


def test_a_reason_stays_readable() -> None:
    assert sent(override="it's smaller, by 40 MB")["override"] == "it s smaller  by 40 MB"


@given(st.text(max_size=300))
@example("e\u0301")
def test_no_text_is_refused_as_metadata(text: str) -> None:
    sent(override=text)


@pytest.mark.parametrize("name", ["pets-", "p", "a--b", "x" * 40])
def test_every_name_of_a_model_is_one_of_a_group(name: str) -> None:
    sent(name, made_by="photos\nof pets.tar.gz")


@given(st.text(max_size=1100))
@example("An error occurred\n--image serves it by another image.\u2028")
def test_no_sentence_is_refused_as_a_decision(why: str) -> None:
    sagemaker: Any = Registry()
    decide(sagemaker, ModelVersion(ARN, 1), "Rejected", why)
