"""The same weights, decoded and preprocessed as torchvision users do: Pillow, then tensors."""

import io
import os
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn
from torchvision import transforms

from domain.model import ModelCard
from serving.networks import create_network

FOLDER = Path(os.environ.get("ARCHIVE", "."))
TOP = 5


def card() -> ModelCard:
    return ModelCard.from_json((FOLDER / "card.json").read_text())


def load() -> nn.Module:
    described = card()
    network = create_network(described.architecture, len(described.labels))
    network.load_state_dict(load_file(FOLDER / "weights.safetensors"))
    return network.eval()


def prepare() -> transforms.Compose:
    numbers = card().preprocessing
    return transforms.Compose(
        [
            transforms.Resize(numbers.resize),
            transforms.CenterCrop(numbers.crop),
            transforms.ToTensor(),
            transforms.Normalize(numbers.mean, numbers.std),
        ]
    )


def opened(body: bytes) -> Image.Image:
    return Image.open(io.BytesIO(body)).convert("RGB")


@torch.inference_mode()
def scores(network: nn.Module, batch: torch.Tensor) -> torch.Tensor:
    return network(batch).softmax(1)


def labelled(row: torch.Tensor, labels: tuple[str, ...]) -> list[dict[str, object]]:
    best = row.topk(TOP)
    return [
        {"label": labels[index], "score": score}
        for score, index in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]
