"""The network for OpenVINO, in the first of int8, bf16 and fp32 that passes an evaluation.

Held-out images that did not calibrate are predicted twice: in fp32, and as they would be served.
Both times by OpenVINO, which in fp32 is compared with PyTorch first.
With fewer than MIN_IMAGES labelled images nothing is evaluated, and fp32 is served.
"""

import io
import logging
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load as load_safetensors
from torch import nn

from domain.archive import OPENVINO
from domain.model import ModelCard, Precision, Verdict
from serving import preprocess
from serving.archive import Archive
from serving.engines import Engine
from serving.engines.openvino import FEATURES, OpenVino, openvino
from serving.networks import SplitNetwork, create_network
from serving.preprocess import Pixels
from training.data.feature_extractor import trace
from training.model.mcnemar import PairedCounts
from training.model.openvino_files import Files, add_to_card, rename_layers, save_network
from training.model.prediction import labels_and_scores
from training.model.torch_engine import torch_engine

CALIBRATION_IMAGES = 300
"""Images that show NNCF the range of activations; more change nothing (its own default)."""

EVALUATION_IMAGES = 2_000
"""At most: 0.3 GB of crops."""

MIN_IMAGES = 300
"""With fewer images even zero regressions are compatible with a loss of 1 point."""

MAX_COUNTED_LOSS = 0.005
"""Of accuracy, as counted; ALLOWED_LOSSES images are always allowed."""

ALLOWED_LOSSES = 5
MAX_LOSS_BOUND = 0.02
"""Of accuracy, as it might be in truth: `Paired.most_lost`."""

CONFIDENT_SCORE = 0.5
MIN_AGREEMENT = 0.995
IMAGES_PER_BATCH = 8

CHECKED_IMAGES = 8
MAX_DIFFERENCE = 1e-3
"""Of a probability, between OpenVINO in fp32 and PyTorch. The order of sums makes 1e-5."""


@dataclass(frozen=True, slots=True)
class LabelledPixels:
    """Crops as in serving, (N, H, W, 3), and the index of the true label, (N,)."""

    pixels: Pixels
    truth: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Predictions:
    label: NDArray[np.int64]
    score: NDArray[np.floating]


def compile_best(
    card: ModelCard, weights: bytes, calibration: Pixels, held_out: LabelledPixels
) -> tuple[ModelCard, Files]:
    """The card with every verdict, and the files it names beside the weights."""
    network = convert(card, weights)
    enough = len(held_out.truth) >= MIN_IMAGES
    before: Predictions | None = None
    if enough:
        before = predict(fp32_engine(card, weights, network, held_out), held_out.pixels)
    verdicts: list[Verdict] = []
    for precision in _candidates():
        if before is None:
            verdicts.append(not_judged(precision, len(held_out.truth)))
            continue
        is_int8 = precision == "int8"
        files = save_network(quantise_int8(network, card, calibration) if is_int8 else network)
        engine = served_engine(add_to_card(card, precision, files), files)
        after = predict(engine, held_out.pixels)
        verdicts.append(make_verdict(precision, held_out.truth, before, after))
        if verdicts[-1].outcome == "kept":
            return add_to_card(card, precision, files, *verdicts), files
    files = save_network(network)
    return add_to_card(card, "fp32", files, *verdicts), files


def fp32_engine(
    card: ModelCard, weights: bytes, network: openvino.Model, held_out: LabelledPixels
) -> Engine:
    """OpenVINO's in fp32, some ten times as fast as PyTorch's on two cores.

    PyTorch's where the two differ on the first images: then the conversion is at fault, and what
    was converted must not be compared with itself.
    """
    files = save_network(network)
    converted = served_engine(add_to_card(card, "fp32", files), files)
    original = torch_engine(card, weights)
    first = held_out.pixels[:CHECKED_IMAGES]
    difference = np.abs(converted(first, True).scores - original(first, True).scores).max()
    return converted if difference <= MAX_DIFFERENCE else original


def compile_fp32(card: ModelCard, weights: bytes) -> tuple[ModelCard, Files]:
    """In fp32, which needs no evaluation: it equals PyTorch up to the order of sums."""
    files = save_network(convert(card, weights))
    return add_to_card(card, "fp32", files), files


def not_judged(precision: Precision, photos: int) -> Verdict:
    """The verdict for too few images."""
    return Verdict(precision, "not judged", photos, 0, 0, 1.0, 0, 0)


def make_verdict(
    precision: Precision, truth: NDArray[np.int64], before: Predictions, after: Predictions
) -> Verdict:
    right, still = before.label == truth, after.label == truth
    losses, wins = int((right & ~still).sum()), int((still & ~right).sum())
    sure = before.score >= CONFIDENT_SCORE
    confident, agreed = int(sure.sum()), int((before.label == after.label)[sure].sum())
    if len(truth) < MIN_IMAGES:
        return not_judged(precision, len(truth))
    paired = PairedCounts(wins, losses)
    good = _is_accurate(paired, len(truth)) and agreed >= MIN_AGREEMENT * confident
    return Verdict(
        precision,
        "not judged" if confident == 0 else "kept" if good else "refused",
        len(truth),
        losses,
        wins,
        round(paired.p_value, 6),
        confident,
        agreed,
    )


def _is_accurate(paired: PairedCounts, photos: int) -> bool:
    """Both as counted and by the upper bound."""
    counted = paired.losses - paired.wins <= max(ALLOWED_LOSSES, MAX_COUNTED_LOSS * photos)
    return counted and paired.max_loss(photos) <= MAX_LOSS_BOUND


def _candidates() -> list[Precision]:
    """bf16 only if the CPU has it: otherwise OpenVINO would compute in fp32."""
    native = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ["int8", "bf16"] if native else ["int8"]


def convert(card: ModelCard, weights: bytes) -> openvino.Model:
    """From normalised inputs (B, 3, H, W) to probabilities (B, labels), and to features (B, F) if
    the network has any."""
    network = create_network(card.architecture, len(card.labels))
    network.load_state_dict(load_safetensors(weights), strict=True)
    side = card.preprocessing.crop
    with _quietly():
        decoder = trace(_Probabilities(network).eval(), side)
        model = openvino.convert_model(decoder, input=[-1, 3, side, side])
    for output in model.outputs[1:]:
        output.get_tensor().set_names({FEATURES})
    return rename_layers(model, card.name)


class _Probabilities(nn.Module):
    """What `convert` converts."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self._network = SplitNetwork(network)

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        logits, features = self._network(inputs)
        return (logits.softmax(1),) if features is None else (logits.softmax(1), features)


def quantise_int8(network: openvino.Model, card: ModelCard, calibration: Pixels) -> openvino.Model:
    with _quietly(), redirect_stdout(io.StringIO()):  # it prints progress bars
        import nncf  # seconds

        prepare = partial(preprocess.normalise, preprocessing=card.preprocessing)
        photos = calibration[:CALIBRATION_IMAGES, np.newaxis]
        model = nncf.quantize(network, nncf.Dataset(photos, prepare), subset_size=len(photos))
    return rename_layers(model, card.name)


def served_engine(card: ModelCard, files: Mapping[str, bytes]) -> Engine:
    assert card.openvino is not None, "add_to_card() has set it"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / OPENVINO).mkdir()
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        return OpenVino(Archive(card, Path(folder)), card.openvino, 1, IMAGES_PER_BATCH)


def predict(engine: Engine, pixels: Pixels) -> Predictions:
    rows = [
        engine(pixels[at : at + IMAGES_PER_BATCH], True).scores
        for at in range(0, len(pixels), IMAGES_PER_BATCH)
    ]
    return Predictions(*labels_and_scores(np.concatenate(rows)))


@contextmanager
def _quietly() -> Iterator[None]:
    """OpenVINO traces torch networks, which torch warns about as deprecated; and NNCF makes it look
    for CUDA, which it warns about on a machine with the toolkit and without a GPU.
    """
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
