"""The models that speed is measured on: ResNet-50, and EfficientNet-Lite0 as it is bundled.

ResNet-50 has random weights, which give speed and no answers: no precision is judged here, and the
cards say so. `python -m benchmarks.models FOLDER` writes FOLDER/<network>-<precision>/.
"""

import hashlib
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save

from benchmarks.flow import images
from domain.model import ModelCard, Precision, Preprocessing, Verdict
from serving import preprocess
from serving.decoding.decode import decode
from serving.networks import create_network
from serving.preprocess import Pixels
from training.model import bundled, openvino_files, quantise
from training.model.package import write

PRECISIONS: tuple[Precision, ...] = ("int8", "bf16")
CALIBRATION = 64
IMAGENET = Preprocessing(256, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def resnet50() -> tuple[ModelCard, bytes]:
    torch.manual_seed(0)
    network = create_network("resnet50", 1000).state_dict()
    weights = save(network)
    labels = bundled.bundled_model()[0].labels
    digest = hashlib.sha256(weights).hexdigest()
    return ModelCard("resnet50", "resnet50", labels, IMAGENET, digest), weights


def photos(card: ModelCard, count: int) -> Pixels:
    numbers = card.preprocessing
    bodies = (body for body, _ in zip(images(), range(count), strict=False))
    side = preprocess.shorter_side(numbers)
    return np.stack([preprocess.crop(decode(body, 10**8, side).pixels, numbers) for body in bodies])


def main(folder: Path) -> None:
    for name, (card, weights) in {"resnet50": resnet50(), "lite0": bundled.bundled_model()}.items():
        network = quantise.convert(card, weights)
        quantised = quantise.quantise_int8(network, card, photos(card, CALIBRATION))
        for precision in PRECISIONS:
            files = openvino_files.save_network(quantised if precision == "int8" else network)
            unjudged = Verdict(precision, "not judged", 0, 0, 0, 1.0, 0, 0)
            made = openvino_files.add_to_card(card, precision, files, unjudged)
            write(made, weights, folder / f"{name}-{precision}", files)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
