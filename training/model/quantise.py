"""The network as OpenVINO reads it, in int8, bf16 or fp32: the first of them that a guard passes.

The guard looks at photos that did not calibrate, and at each of them twice: answered by fp32, and
as it would be served. Without some hundreds of photos with a label there is no verdict, and then
nothing below fp32 is served.
"""

import io
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load as load_safetensors
from torch import nn

from domain.archive import OPENVINO, WEIGHTS
from domain.model import ModelCard, Precision, Verdict
from serving import preprocess
from serving.archive import Archive
from serving.engines import Engine
from serving.engines.openvino import OpenVino, openvino
from serving.engines.pytorch import PyTorch
from serving.networks import create_network
from serving.preprocess import Pixels
from training.model.mcnemar import Paired
from training.model.openvino_files import Files, named, packed, rename_layers

CALIBRATION = 300
"""Photos that show NNCF how large activations become; more change nothing (its own default)."""

JUDGED = 2_000
"""Photos that are worth judging by: 0.3 GB of crops."""

FEWEST = 300
"""With fewer photos nothing is judged: even where none is lost, 1 point might be."""

LOST = 0.005
"""Of accuracy, as it was counted: no more than this, where that is a handful of photos."""

HANDFUL = 5
MOST_LOST = 0.02
"""Of accuracy, as it might be in truth: `Paired.most_lost`."""

CONFIDENT = 0.5
AGREED = 0.995
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Photos:
    """Cropped as they are served, with the number of the label that is true."""

    pixels: Pixels
    truth: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Answers:
    label: NDArray[np.int64]
    score: NDArray[np.float32]


def compiled(
    card: ModelCard, weights: bytes, calibration: Pixels, judged: Photos
) -> tuple[ModelCard, Files]:
    """The card with every verdict on it, and the files it names beside the weights."""
    network = converted(card, weights)
    enough = len(judged.truth) >= FEWEST
    before = _by_torch(card, weights, judged.pixels) if enough else None
    verdicts: list[Verdict] = []
    for precision in _candidates():
        if before is None:
            verdicts.append(unjudged(precision, len(judged.truth)))
            continue
        files = packed(quantised(network, card, calibration) if precision == "int8" else network)
        tried = named(card, precision, files)
        verdicts.append(verdict(precision, judged.truth, before, _served(tried, files, judged)))
        if verdicts[-1].outcome == "kept":
            return named(card, precision, files, *verdicts), files
    files = packed(network)
    return named(card, "fp32", files, *verdicts), files


def exact(card: ModelCard, weights: bytes) -> tuple[ModelCard, Files]:
    """In fp32, which needs no verdict: as PyTorch answers, but for the order of its sums."""
    files = packed(converted(card, weights))
    return named(card, "fp32", files), files


def unjudged(precision: Precision, photos: int) -> Verdict:
    """Too few photos: nothing is compared, and so nothing counted."""
    return Verdict(precision, "not judged", photos, 0, 0, 1.0, 0, 0)


def verdict(
    precision: Precision, truth: NDArray[np.int64], before: Answers, after: Answers
) -> Verdict:
    right, still = before.label == truth, after.label == truth
    losses, wins = int((right & ~still).sum()), int((still & ~right).sum())
    sure = before.score >= CONFIDENT
    confident, agreed = int(sure.sum()), int((before.label == after.label)[sure].sum())
    if len(truth) < FEWEST:
        return unjudged(precision, len(truth))
    paired = Paired(wins, losses)
    good = _is_accurate(paired, len(truth)) and agreed >= AGREED * confident
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


def _is_accurate(paired: Paired, photos: int) -> bool:
    """Both by what was counted, and by what might be behind it."""
    counted = paired.losses - paired.wins <= max(HANDFUL, LOST * photos)
    return counted and paired.most_lost(photos) <= MOST_LOST


def _candidates() -> list[Precision]:
    """bf16 only where it is native: elsewhere it would be judged in fp32."""
    native = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ["int8", "bf16"] if native else ["int8"]


def converted(card: ModelCard, weights: bytes) -> openvino.Model:
    """From normalised inputs to probabilities."""
    network = create_network(card.architecture, len(card.labels))
    network.load_state_dict(load_safetensors(weights), strict=True)
    side = card.preprocessing.crop
    with _quietly():
        model = openvino.convert_model(
            nn.Sequential(network, nn.Softmax(dim=1)).eval(),
            example_input=torch.zeros(2, 3, side, side),
            input=[-1, 3, side, side],
        )
    return rename_layers(model, card.name)


def quantised(network: openvino.Model, card: ModelCard, calibration: Pixels) -> openvino.Model:
    with _quietly(), redirect_stdout(io.StringIO()):  # it draws bars, into a log too
        import nncf  # seconds

        prepare = partial(preprocess.normalise, preprocessing=card.preprocessing)
        photos = calibration[:CALIBRATION, np.newaxis]
        model = nncf.quantize(network, nncf.Dataset(photos, prepare), subset_size=len(photos))
    return rename_layers(model, card.name)


def _by_torch(card: ModelCard, weights: bytes, pixels: Pixels) -> Answers:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / WEIGHTS).write_bytes(weights)
        return answered(PyTorch(Archive(card, Path(folder)), torch.get_num_threads()), pixels)


def _served(card: ModelCard, files: Files, photos: Photos) -> Answers:
    """By the very engine that will serve."""
    assert card.openvino is not None, "named() has put it there"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / OPENVINO).mkdir()
        for name, content in files.items():
            (Path(folder) / name).write_bytes(content)
        engine = OpenVino(Archive(card, Path(folder)), card.openvino, 1, AT_ONCE)
    return answered(engine, photos.pixels)


def answered(engine: Engine, pixels: Pixels) -> Answers:
    rows = [engine(pixels[at : at + AT_ONCE], True) for at in range(0, len(pixels), AT_ONCE)]
    scores = np.concatenate(rows)
    return Answers(scores.argmax(1), scores.max(1))


@contextmanager
def _quietly() -> Iterator[None]:
    """Tracing, which OpenVINO reads torch networks by, is what torch calls deprecated."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
