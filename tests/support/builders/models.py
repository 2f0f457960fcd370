"""Model archives for tests: a real network with random weights and a small input."""

import hashlib
from pathlib import Path

import torch
from safetensors.torch import save

from domain.model import ModelCard, ModelId, Preprocessing
from serving.networks import EFFICIENTNET_LITE0, create_network
from training.model import quantise
from training.model.package import pack, unpack


def random_model(folder: Path, *labels: str, seed: int = 0) -> ModelId:
    """An unpacked archive in `folder`; 32 x 32 pixels make a pass a matter of milliseconds."""
    torch.manual_seed(seed)
    weights = save(create_network(EFFICIENTNET_LITE0, len(labels)).state_dict())
    card = ModelCard(
        name="random",
        architecture=EFFICIENTNET_LITE0,
        labels=labels,
        preprocessing=Preprocessing(36, 32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
        weights_sha256=hashlib.sha256(weights).hexdigest(),
    )
    card, compiled = quantise.compile_fp32(card, weights)
    folder.mkdir(parents=True, exist_ok=True)
    pack(card, weights, folder / "model.tar.gz", compiled)
    unpack(folder / "model.tar.gz", folder / "model")
    return ModelId(card.name, 1, card.digest)
