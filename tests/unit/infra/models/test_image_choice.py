"""Which variant of the image serves a model, and which one trains: by the card and the machine."""

import pytest

from domain.instance import UnfitInstanceError
from domain.model import Compiled, ModelCard, Preprocessing
from infra.models import image_choice

NUMBERS = Preprocessing(256, 224, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
COMPILED = Compiled("int8", {"openvino/model.xml": "0" * 64, "openvino/model.bin": "1" * 64})


def card(compiled: Compiled | None) -> ModelCard:
    return ModelCard("pets", "resnet50", ("cat", "dog"), NUMBERS, "2" * 64, openvino=compiled)


@pytest.mark.parametrize(
    ("compiled", "instance_type", "variant"),
    [
        (COMPILED, "ml.m5.xlarge", "serve"),
        (None, "ml.m5.xlarge", "cpu"),
        (None, "ml.c7i.2xlarge", "cpu"),
        (COMPILED, "ml.g4dn.xlarge", "gpu"),
        (None, "ml.g6e.xlarge", "gpu"),
    ],
)
def test_a_model_gets_the_smallest_image_that_has_its_engine(
    compiled: Compiled | None, instance_type: str, variant: str
) -> None:
    assert image_choice.for_model(card(compiled), instance_type) == variant


@pytest.mark.parametrize(
    ("instance_type", "variant"),
    [
        ("ml.m5.xlarge", "cpu"),
        ("ml.c7i.2xlarge", "cpu"),
        ("ml.g4dn.xlarge", "gpu"),
        ("ml.p4d.24xlarge", "gpu"),
        ("ml.p6-b200.48xlarge", "gpu"),
    ],
)
def test_training_needs_pytorch_with_cuda_where_there_is_a_gpu(
    instance_type: str, variant: str
) -> None:
    assert image_choice.for_training(instance_type) == variant


@pytest.mark.parametrize("instance_type", ["ml.p2.xlarge", "ml.p3.2xlarge", "ml.p3dn.24xlarge"])
def test_a_gpu_that_cuda_13_does_not_know_is_refused_with_the_reason(instance_type: str) -> None:
    """NVIDIA's release notes of CUDA 13.0: Maxwell, Pascal and Volta are removed."""
    with pytest.raises(UnfitInstanceError, match=r"ml\.p[23].*CUDA 13.*ml\.g4dn"):
        image_choice.for_training(instance_type)
    with pytest.raises(UnfitInstanceError, match="CUDA 13"):
        image_choice.for_model(card(None), instance_type)
