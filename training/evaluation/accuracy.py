"""Evaluates a network on a split: accuracy, loss, calibration, confusion."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from domain.foreign import escape_cell
from domain.model import SCORE_DIGITS, UnknownRule
from domain.tables.writer import write_header, write_rows
from serving.preprocess import Pixels
from training.config.trials import NetworkTrial
from training.data.dataset import Example
from training.data.features import Extract, Rows
from training.data.sampling import Batch, part_sizes
from training.distributed import Distributed
from training.model.prediction import to_rows
from training.model.unknown import are_unknown

RELIABILITY_BINS = 10
COVERAGE_POINTS = 40
MIN_PROBABILITY = 1e-12
"""Lower bound of a probability in the loss: one confident mistake must not make it infinite."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One row per image, in the order of the split: 24 bytes, whatever the number of classes."""

    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float32]
    """The probability of `predicted`."""
    label_probability: NDArray[np.float32]
    """The probability of `truth`."""
    distance: NDArray[np.float32] | None = None
    """From the training images; None if the card has no rule for unknown images."""

    @property
    def correct(self) -> NDArray[np.bool_]:
        return np.equal(self.truth, self.predicted)

    @property
    def accuracy(self) -> float:
        return float(self.correct.mean())

    def worst_mistakes(self, most: int) -> NDArray[np.int64]:
        """Rows, the most confident first."""
        wrong = np.flatnonzero(~self.correct)
        return wrong[np.argsort(-self.confidence[wrong], kind="stable")][:most]

    @property
    def loss(self) -> float:
        return float(
            -np.log(np.maximum(self.label_probability.astype(np.float64), MIN_PROBABILITY)).mean()
        )

    @property
    def reliability(self) -> list[tuple[int, float, float]]:
        """Per tenth of confidence: images, mean confidence, accuracy."""
        bins = np.minimum((self.confidence * RELIABILITY_BINS).astype(int), RELIABILITY_BINS - 1)
        return [
            (int(own.sum()), float(self.confidence[own].mean()), float(self.correct[own].mean()))
            if (own := bins == tenth).any()
            else (0, 0.0, 0.0)
            for tenth in range(RELIABILITY_BINS)
        ]

    @property
    def calibration_error(self) -> float:
        """ECE (Naeini et al., 2015): the mean gap between confidence and accuracy."""
        gaps = sum(
            count * abs(confidence - accuracy) for count, confidence, accuracy in self.reliability
        )
        return gaps / len(self.truth)

    def unknown(self, rule: UnknownRule | None) -> NDArray[np.bool_]:
        """(images,): those beyond the threshold of the rule; none without one."""
        if rule is None or self.distance is None:
            return np.zeros(len(self.truth), np.bool_)
        return are_unknown(rule, self.distance)

    def accepted(self, threshold: float, rule: UnknownRule | None) -> tuple[float, float]:
        """The shares of images with a confidence above it that are not unknown, and of wrong ones
        among those."""
        above = self.confidence.astype(np.float64).round(SCORE_DIGITS) > threshold
        above &= ~self.unknown(rule)
        wrong = float((~self.correct[above]).mean()) if above.any() else 0.0
        return float(above.mean()), wrong

    @property
    def coverage(self) -> list[tuple[float, float]]:
        """What `accepted` gives for COVERAGE_POINTS growing shares, the most confident first."""
        wrong = np.cumsum(~self.correct[np.argsort(-self.confidence, kind="stable")])
        ends = np.linspace(0, len(wrong), COVERAGE_POINTS + 1).astype(int)[1:]
        counts = sorted({int(count) for count in ends if count})
        return [(count / len(wrong), float(wrong[count - 1] / count)) for count in counts]

    def confusion(self, labels: int) -> NDArray[np.int64]:
        """Images by (truth, predicted)."""
        flat = np.bincount(self.truth * labels + self.predicted, minlength=labels**2)
        return flat.reshape(labels, labels)

    def metrics(self) -> dict[str, float]:
        """As they are on the model card."""
        return {
            "accuracy": round(self.accuracy, 6),
            "loss": round(self.loss, 6),
            "calibration_error": round(self.calibration_error, 6),
            "images": float(len(self.truth)),
        }


@dataclass(frozen=True, slots=True)
class Evaluations:
    """Of one model on its test split."""

    network: Evaluation
    """In fp32, as trained."""
    served: Evaluation | None
    """As it serves, with the card's temperature; None where that gives the same."""
    networks: tuple[NetworkTrial, ...] = ()
    """Which were compared before, on validation images, by `arch=auto`."""
    explained: Mapping[int, Pixels] = field(default_factory=dict)
    """By the row of a mistake, the picture with what spoke for the predicted label in colour."""


def evaluate(
    predict: Extract, batches: Iterable[Batch], count: int, distributed: Distributed
) -> Evaluation:
    """`predict`: (B, 3, H, W) to logits (B, labels); `batches`: this process's part of `count`."""
    tables = [
        to_rows(_softmax(predict(inputs.numpy())), truth.numpy()) for inputs, truth in batches
    ]
    table = torch.from_numpy(np.concatenate([np.empty((0, 4)), *tables])).to(distributed.device)
    return from_rows(distributed.all_gather(table, part_sizes(count, distributed)).cpu().numpy())


def from_rows(table: NDArray[np.float64]) -> Evaluation:
    """From the rows of all batches (`prediction.to_rows`), with or without a fifth column: the
    distance from the training images."""
    truth, predicted, confidence, own, *distances = table.T
    return Evaluation(
        truth.astype(np.int64),
        predicted.astype(np.int64),
        confidence.astype(np.float32),
        own.astype(np.float32),
        distances[0].astype(np.float32) if distances else None,
    )


def _softmax(logits: Rows) -> NDArray[np.float64]:
    scores = np.exp(logits.astype(np.float64) - logits.max(1, keepdims=True))
    scores /= scores.sum(1, keepdims=True)
    return np.asarray(scores, np.float64)


def write_predictions(
    path: Path, evaluation: Evaluation, examples: Sequence[Example], labels: Sequence[str]
) -> None:
    """predictions.csv"""
    with path.open("w", encoding="utf-8", newline="") as file:
        write_header(file, ("image", "label", "predicted", "confidence", "label_probability"))
        write_rows(
            file,
            (
                (
                    escape_cell(example.path),
                    escape_cell(labels[evaluation.truth[row]]),
                    escape_cell(labels[evaluation.predicted[row]]),
                    f"{evaluation.confidence[row]:.6f}",
                    f"{evaluation.label_probability[row]:.6f}",
                )
                for row, example in enumerate(examples)
            ),
        )
