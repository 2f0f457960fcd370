"""The guard on a real network that knows its photos: int8 kept, and refused when damaged."""

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from skimage import data

from domain.model import Compiled, ModelCard
from serving import preprocess
from serving.decoding.decode import decode
from serving.preprocess import Pixels

pytestmark = pytest.mark.slow

LABELS = 5
TEACH, JUDGE = 4, 60
"""Photos of each label that teach the head and calibrate, and those that judge."""


class Labelled(NamedTuple):
    pixels: Pixels
    truth: NDArray[np.int64]


class Model(NamedTuple):
    card: ModelCard
    weights: bytes
    teach: Labelled
    judge: Labelled


def excerpts() -> list[list[Pixels]]:
    """Squares out of photos that come with scikit-image: the label is the photo."""
    dice = np.random.default_rng(0)
    names = ("chelsea.png", "coffee.png", "rocket.jpg", "motorcycle_left.png", "color.png")
    whole = [decode((Path(data.__file__).parent / name).read_bytes(), 10**8, 256).pixels
             for name in names]  # fmt: skip
    return [[excerpt(pixels, dice) for _ in range(TEACH + JUDGE)] for pixels in whole]


def excerpt(pixels: Pixels, dice: np.random.Generator) -> Pixels:
    top, left = (int(dice.integers(0, edge - 224)) for edge in pixels.shape[:2])
    return pixels[top : top + 224, left : left + 224]


def split(photos: list[list[Pixels]]) -> tuple[Labelled, Labelled]:
    parts = [[each[:TEACH] for each in photos], [each[TEACH:] for each in photos]]
    teach, judge = (
        Labelled(
            np.stack([pixels for each in part for pixels in each]),
            np.repeat(np.arange(len(part)), [len(each) for each in part]),
        )
        for part in parts
    )
    return teach, judge


@pytest.fixture(scope="module")
def model() -> Model:
    """EfficientNet-Lite0 with a head fitted to these photos by least squares."""
    import torch
    from safetensors.torch import save

    from serving.networks import create_network
    from training.model import bundled

    teach, judge = split(excerpts())
    network = create_network("efficientnet_lite0", LABELS).eval()
    arrays = bundled.weights().items()
    state = {name: torch.from_numpy(each.copy()) for name, each in arrays}
    state = {name: state.get(name, value) for name, value in network.state_dict().items()}
    state |= {"_fc.weight": torch.zeros(LABELS, 1280), "_fc.bias": torch.zeros(LABELS)}
    network.load_state_dict(state)
    network._fc = torch.nn.Identity()
    with torch.inference_mode():
        inputs = preprocess.normalise(teach.pixels, bundled.PREPROCESSING)
        rows = network(torch.from_numpy(inputs)).double()
    wanted = 10 * torch.eye(LABELS, dtype=torch.float64)[torch.from_numpy(teach.truth)]
    inner = rows @ rows.T + 10 * torch.eye(len(rows), dtype=torch.float64)
    state["_fc.weight"] = (rows.T @ torch.linalg.solve(inner, wanted)).T.float().contiguous()
    weights = save(state)
    card = ModelCard(
        "photos",
        "efficientnet_lite0",
        tuple(f"label {number}" for number in range(LABELS)),
        bundled.PREPROCESSING,
        hashlib.sha256(weights).hexdigest(),
    )
    return Model(card, weights, teach, judge)


def compiled(model: Model, calibration: Pixels) -> Compiled:
    from training.model import quantise

    judged = quantise.LabelledPixels(*model.judge)
    card, files = quantise.compile_best(model.card, model.weights, calibration, judged)
    assert card.openvino is not None
    assert replace(card, openvino=None) == model.card
    assert ModelCard.from_json(card.to_json()) == card
    assert set(files) == set(card.openvino.files)
    return card.openvino


def test_int8_is_kept_where_it_answers_as_well_and_refused_where_it_is_damaged(
    model: Model,
) -> None:
    kept = compiled(model, model.teach.pixels)
    damaged = compiled(model, np.zeros_like(model.teach.pixels))
    assert (kept.precision, kept.verdicts[0].outcome) == ("int8", "kept")
    assert kept.verdicts[0].photos == len(model.judge.truth)
    assert kept.verdicts[0].confident > 0
    assert damaged.precision != "int8"
    assert (damaged.verdicts[0].precision, damaged.verdicts[0].outcome) == ("int8", "refused")
    assert damaged.verdicts[0].losses > kept.verdicts[0].losses


def test_a_wrong_conversion_is_not_compared_with_itself(model: Model) -> None:
    from safetensors.torch import load, save

    from serving.engines.openvino import OpenVino
    from training.model import quantise

    judged = quantise.LabelledPixels(*model.judge)
    state = load(model.weights)
    damaged = save(state | {"_fc.weight": -state["_fc.weight"]})
    for weights, is_openvino in ((model.weights, True), (damaged, False)):
        network = quantise.convert(model.card, weights)
        engine = quantise.fp32_engine(model.card, model.weights, network, judged)
        assert isinstance(engine, OpenVino) == is_openvino, "PyTorch is the reference of fp32"


def test_the_accuracy_as_it_serves_is_of_the_whole_test_split(model: Model, tmp_path: Path) -> None:
    """By the engine that serves, on files as the job reads them; fp32 has it measured already."""
    from training.config.train_config import TrainConfig
    from training.data import dataset as of_images
    from training.data.loader import Images
    from training.distributed import Distributed
    from training.evaluation import served as as_served
    from training.model import openvino_files, quantise

    for split, each in (("train", 1), ("validation", 1), ("test", 12)):
        for row, (pixels, label) in enumerate(zip(*model.judge, strict=True)):
            path = tmp_path / split / model.card.labels[label] / f"{row}.png"
            if row % JUDGE < each:
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels ^ (split == "validation")).save(path)
    dataset = of_images.prepare(tmp_path, True, 0.0, lambda: None)
    card = replace(model.card, metrics={"accuracy": 0.5})
    files = openvino_files.save_network(quantise.convert(card, model.weights))
    named = openvino_files.add_to_card(card, "bf16", files)
    rows = np.array([row for row in range(len(model.judge.truth)) if row % JUDGE < 12])
    predicted = quantise.predict(quantise.served_engine(named, files), model.judge.pixels[rows])
    right = float((predicted.label == model.judge.truth[rows]).mean())
    with Images(dataset, card.preprocessing, TrainConfig(), Distributed.from_env({})) as images:
        engine = as_served.make_engine(named, model.weights, files)
        served = as_served.evaluate(named, engine, None, dataset, images)
        engine = as_served.make_engine(card, model.weights, {})
        plain = as_served.evaluate(card, engine, None, dataset, images)
    assert plain is None
    measured = as_served.metrics(named, served)
    assert measured["served_accuracy"] == pytest.approx(right, abs=0.02), "crops are resized"
    assert as_served.metrics(card, plain) == {"served_accuracy": 0.5}


def test_a_cuda_toolkit_without_a_gpu_is_no_warning_in_the_log() -> None:
    """On such a machine the console of a job held a line of PyTorch's about CUDA_HOME."""
    script = "from training.model import quantise\nwith quantise._quietly():\n    import nncf.torch"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"CUDA_HOME": "/usr/local", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "CUDA_HOME" not in done.stderr + done.stdout
