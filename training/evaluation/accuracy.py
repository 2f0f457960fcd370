"""How good a network is on a split, judged whole, in fp32 and as it will serve."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from domain.foreign import escape_cell
from training.data.dataset import Example
from training.data.features import Embed, Rows
from training.data.sampling import Batch, parts
from training.distributed import World

BINS = 10
SMALLEST = 1e-12
"""Under this a probability counts as this in the loss: one certain mistake is no infinity."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A row an image, in the order of the split: 24 bytes, whatever the number of classes."""

    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float32]
    """The probability of `predicted`."""
    own: NDArray[np.float32]
    """The probability of `truth`."""

    @property
    def right(self) -> NDArray[np.bool_]:
        return np.equal(self.truth, self.predicted)

    @property
    def accuracy(self) -> float:
        return float(self.right.mean())

    @property
    def loss(self) -> float:
        return float(-np.log(np.maximum(self.own.astype(np.float64), SMALLEST)).mean())

    @property
    def reliability(self) -> list[tuple[int, float, float]]:
        """By tenths of confidence: images, mean confidence, accuracy."""
        bins = np.minimum((self.confidence * BINS).astype(int), BINS - 1)
        return [
            (int(own.sum()), float(self.confidence[own].mean()), float(self.right[own].mean()))
            if (own := bins == each).any()
            else (0, 0.0, 0.0)
            for each in range(BINS)
        ]

    @property
    def calibration_error(self) -> float:
        """ECE (Naeini et al., 2015): the mean gap between confidence and accuracy."""
        gaps = sum(count * abs(said - was) for count, said, was in self.reliability)
        return gaps / len(self.truth)

    def confusion(self, labels: int) -> NDArray[np.int64]:
        """(truth, predicted) to images."""
        flat = np.bincount(self.truth * labels + self.predicted, minlength=labels**2)
        return flat.reshape(labels, labels)

    def metrics(self) -> dict[str, float]:
        """As they stand on the card."""
        return {
            "accuracy": round(self.accuracy, 6),
            "loss": round(self.loss, 6),
            "calibration_error": round(self.calibration_error, 6),
            "images": float(len(self.truth)),
        }


def judged(look: Embed, batches: Iterable[Batch], count: int, world: World) -> Judgement:
    """`look`: the whole network; `batches`: this process's part of `count` images."""
    found = [rows(_softmax(look(inputs.numpy())), truth.numpy()) for inputs, truth in batches]
    table = torch.from_numpy(np.concatenate([np.empty((0, 4)), *found])).to(world.device)
    return of(world.gathered(table, parts(count, world)).cpu().numpy())


def rows(scores: NDArray[np.floating], truth: NDArray[np.int64]) -> NDArray[np.float64]:
    """(images, 4): truth, what was predicted, and how probable the one and the other seemed."""
    every = np.arange(len(truth))
    predicted = scores.argmax(1)
    return np.stack([truth, predicted, scores[every, predicted], scores[every, truth]], 1)


def of(table: NDArray[np.float64]) -> Judgement:
    """From the `rows` of all batches."""
    truth, predicted, confidence, own = table.T
    return Judgement(
        truth.astype(np.int64),
        predicted.astype(np.int64),
        confidence.astype(np.float32),
        own.astype(np.float32),
    )


def _softmax(logits: Rows) -> NDArray[np.float64]:
    scores = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    scores /= scores.sum(1, keepdims=True)
    return np.asarray(scores, np.float64)


def write(
    path: Path, judgement: Judgement, examples: Sequence[Example], labels: Sequence[str]
) -> None:
    """predictions.csv"""
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(("image", "label", "predicted", "confidence", "label_probability"))
        for row, example in enumerate(examples):
            table.writerow(
                (
                    escape_cell(example.path),
                    escape_cell(labels[judgement.truth[row]]),
                    escape_cell(labels[judgement.predicted[row]]),
                    f"{judgement.confidence[row]:.6f}",
                    f"{judgement.own[row]:.6f}",
                )
            )
