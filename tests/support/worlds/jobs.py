"""Training jobs as SageMaker lays them out, on image folders made on the spot."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from domain.model import ModelCard
from training import train
from training.config import metrics

ROOT = Path(__file__).parents[3]
SIDE = 40
COLOURS = {
    "red": (200, 30, 30),
    "green": (30, 200, 30),
    "blue": (30, 30, 200),
    "yellow": (200, 200, 30),
}

QUICK = {
    "image-size": "64",
    "epochs": "3",
    "batch-size": "8",
    "lr": "0.003",
    "log-every": "1",
    "decoders": "1",
    "compile": "none",
}
"""Seconds, not minutes: the bundled network on squares of 64 pixels, served by PyTorch."""


def noisy(colour: str, number: int) -> Image.Image:
    """A colour under noise: each number another image, and the class easily seen."""
    noise = np.random.default_rng((number, *COLOURS[colour])).integers(-30, 30, (SIDE, SIDE, 3))
    pixels = np.clip(np.array(COLOURS[colour]) + noise, 0, 255)
    return Image.fromarray(pixels.astype(np.uint8))


def folder(root: Path, counts: Mapping[str, int], first: int = 0) -> Path:
    """A folder a class, named by its colour."""
    for colour, count in counts.items():
        (root / colour).mkdir(parents=True, exist_ok=True)
        for number in range(first, first + count):
            noisy(colour, number).save(root / colour / f"{number}.png")
    return root


def data_set(root: Path, train: int = 16, others: int = 4) -> Path:
    """Three splits of three colours."""
    for at, (split, count) in enumerate(
        (("train", train), ("validation", others), ("test", others))
    ):
        folder(root / split, dict.fromkeys(("red", "green", "blue"), count), 1000 * at)
    return root


@dataclass(frozen=True)
class Job:
    root: Path

    @property
    def channel(self) -> Path:
        return self.root / "input" / "data" / "training"

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def card(self) -> ModelCard:
        """Of the model that it made."""
        return ModelCard.from_json((self.model / "card.json").read_text())

    @property
    def reports(self) -> Path:
        return self.root / "output" / "data"

    @property
    def checkpoint(self) -> Path:
        return self.root / "checkpoints" / "checkpoint.safetensors"

    @property
    def failure(self) -> str:
        path = self.root / "output" / "failure"
        return path.read_text() if path.exists() else ""

    @property
    def variables(self) -> dict[str, str]:
        return {
            "SM_INPUT_DIR": str(self.root / "input"),
            "SM_MODEL_DIR": str(self.model),
            "SM_OUTPUT_DIR": str(self.root / "output"),
            "SM_CHECKPOINT_DIR": str(self.root / "checkpoints"),
        }

    def configure(self, hyperparameters: Mapping[str, str]) -> None:
        path = self.root / "input" / "config" / "hyperparameters.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(hyperparameters))

    def run(self, **changed: str) -> int:
        """In this process, with QUICK and what `changed` says; `batch_size` is `batch-size`."""
        self.configure(QUICK | {name.replace("_", "-"): text for name, text in changed.items()})
        return train.main([], self.variables)

    def start(self, log: Path, **changed: str) -> "subprocess.Popen[bytes]":
        """As a container would."""
        self.configure(QUICK | {name.replace("_", "-"): text for name, text in changed.items()})
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        with log.open("ab") as stream:
            return subprocess.Popen(
                [sys.executable, "-m", "training.train"],
                cwd=ROOT,
                env=inherited | self.variables | {"OMP_NUM_THREADS": "1"},
                stdout=stream,
                stderr=stream,
            )


def lines(log: str, name: str) -> list[dict[str, float]]:
    """The metric lines that have a number of this name."""
    parsed = (metrics.parse(line) for line in log.splitlines())
    return [values for values in parsed if name in values]
