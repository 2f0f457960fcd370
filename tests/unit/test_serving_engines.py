"""Real networks with random weights: importing torch takes seconds."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest

from domain.model import ModelCard, Preprocessing
from serving.archive import Archive, ModelError

pytestmark = pytest.mark.slow

CARD = ModelCard(
    name="pets",
    architecture="efficientnet_lite0",
    labels=("cat", "dog", "bird"),
    preprocessing=Preprocessing(32, 32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
    weights_sha256="",
)


def archive(card: ModelCard, outputs: int | None = None) -> Archive:
    from safetensors.torch import save

    from serving.backbones import backbone

    weights = save(backbone(card.architecture, outputs or len(card.labels)).state_dict())
    return Archive(replace(card, weights_sha256=hashlib.sha256(weights).hexdigest()), weights)


@pytest.mark.parametrize("architecture", ["efficientnet_lite0", "squeezenet1_1"])
def test_a_network_answers_each_image_with_probabilities(architecture: str) -> None:
    from serving.engines.pytorch import PyTorch

    engine = PyTorch(archive(replace(CARD, architecture=architecture)), threads=1)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
    scores = engine(pixels)
    assert scores.shape == (4, 3)
    assert scores.dtype == np.float32
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-5)
    one_by_one = np.concatenate([engine(pixels[at : at + 1]) for at in range(4)])
    assert np.allclose(scores, one_by_one, atol=1e-5)


@pytest.mark.parametrize(
    ("loaded", "told"),
    [
        (lambda: archive(CARD, outputs=4), "size mismatch for _fc"),
        (
            lambda: Archive(replace(CARD, architecture="squeezenet1_1"), archive(CARD).weights),
            "Mis",
        ),
        (lambda: Archive(CARD, b"no safetensors"), "cannot be loaded"),
        (lambda: Archive(replace(CARD, architecture="resnet9000"), b""), "'resnet9000' is neither"),
        (lambda: Archive(replace(CARD, architecture="fcn_resnet50"), b""), "is neither"),
    ],
    ids=["labels", "network", "damage", "unknown", "no classifier"],
)
def test_a_model_that_does_not_fit_is_refused_with_a_sentence(loaded: object, told: str) -> None:
    from serving.engines.pytorch import PyTorch

    assert callable(loaded)
    with pytest.raises(ModelError, match=told) as refusal:
        PyTorch(loaded(), threads=1)
    assert "\n" not in str(refusal.value)
