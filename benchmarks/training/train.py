"""From a folder of images to an archive that serves: wall time and accuracy, for each network.

`make bench-train DATA=folder`, or `python -m benchmarks.training.train folder [name=value …]
[--networks efficientnet_lite0 auto] [--seeds 0 1 2]`

Each run is the container's `train` in a process of its own, with the defaults but for what
`name=value` says, and the packing of what it leaves into `model.tar.gz`, whose engine then answers
(not counted). Upload and the start of a job come on top where `./sortbox train` is used. The
accuracy is that of validation images where a data set has no `test`; with `auto`, which selects by
validation, `fp32` and `as it serves` are of the test images that it sets apart.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np

from domain.archive import CARD, TOPOLOGY, VALUES, read_card
from domain.model import ModelCard
from serving.archive import Archive
from serving.engines.openvino import OpenVino
from serving.engines.pytorch import PyTorch
from training.model import bundled, package

REPOSITORY = Path(__file__).parents[2]
NETWORKS = (*bundled.NETWORKS, "auto")


@dataclass(frozen=True)
class TimedTraining:
    network: str
    """That the model has: with `auto`, the chosen one."""
    seconds: float
    validation: float
    """Of the head's last epoch, or of the epoch that it keeps."""
    judged_on: str
    fp32: float
    as_served: float
    precision: str


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training.train")
    parser.add_argument("data", type=Path)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("values", nargs="*", default=[], metavar="name=value")
    settings = parser.parse_intermixed_args(arguments)
    values = dict(value.split("=", 1) for value in settings.values)
    runs: dict[str, list[TimedTraining]] = {network: [] for network in settings.networks}
    for seed in settings.seeds:  # seeds outside: what else the machine does, all networks share
        for network in settings.networks:
            run = _run(settings.data, values | {"arch": network, "seed": str(seed)})
            runs[network].append(run)
            print(f"{network}, seed {seed}: {run}", flush=True)
    print("\n| network | seconds | validation | fp32 | as it serves | in |")
    print("|---|---|---|---|---|---|")
    for network, several in runs.items():
        cells = [
            _cells([run.seconds for run in several], 1),
            _cells([run.validation for run in several], 3),
            _cells([run.fp32 for run in several], 3),
            _cells([run.as_served for run in several], 3),
            ", ".join(sorted({run.precision for run in several})),
        ]
        print(f"| {network} | {' | '.join(cells)} |")
    return 0


def _cells(numbers: list[float], digits: int) -> str:
    several = ", ".join(f"{number:.{digits}f}" for number in numbers)
    return f"{several}: mean {mean(numbers):.{digits}f}"


def _run(data: Path, values: dict[str, str]) -> TimedTraining:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        config = root / "input" / "config" / "hyperparameters.json"
        config.parent.mkdir(parents=True)
        config.write_text(json.dumps(values))
        (root / "input" / "data").mkdir()
        (root / "input" / "data" / "data").symlink_to(data.resolve())
        folders = {"SM_INPUT_DIR": "input", "SM_MODEL_DIR": "model", "SM_OUTPUT_DIR": "output",
                   "SM_CHECKPOINT_DIR": "checkpoints"}  # fmt: skip
        environ = {**os.environ, **{key: str(root / value) for key, value in folders.items()}}
        began = time.monotonic()
        job = subprocess.run(
            [sys.executable, "-m", "training.train"],
            cwd=REPOSITORY,
            env=environ,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert job.returncode == 0, (root / "output" / "failure").read_text()
        card = _pack(root / "model", root / "model.tar.gz")
        seconds = time.monotonic() - began
        _answer(root / "model.tar.gz", root / "unpacked")
        report = json.loads((root / "output" / "data" / "report.json").read_text())
        metrics = report["model"]["metrics"]
        return TimedTraining(
            card.architecture,
            seconds,
            report["curves"][-1]["validation_accuracy"],
            report["judged_on"],
            metrics["accuracy"],
            metrics.get("served_accuracy", metrics["accuracy"]),
            card.precision,
        )


def _pack(folder: Path, path: Path) -> ModelCard:
    """As SageMaker does, which makes the archive of what a job leaves."""
    archive = Archive(read_card((folder / CARD).read_bytes()), folder)
    compiled = archive.card.openvino
    contents = archive.openvino(compiled) if compiled else ()
    files = dict(zip((TOPOLOGY, VALUES), contents, strict=False))
    package.pack(archive.card, archive.weights(), path, files)
    return archive.card


def _answer(path: Path, folder: Path) -> None:
    """The archive serves: its engine answers each of two images with a probability a label."""
    card = package.unpack(path, folder)
    archive, side = Archive(card, folder), card.preprocessing.crop
    pixels = np.zeros((2, side, side, 3), np.uint8)
    if card.openvino:
        scores = OpenVino(archive, card.openvino, 1, 2)(pixels, False).scores
    else:
        scores = PyTorch(archive, 1)(pixels, False).scores
    assert scores.shape == (2, len(card.labels)), scores.shape


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
