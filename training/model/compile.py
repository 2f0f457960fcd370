"""Compiles a trained network for serving on a CPU, and evaluates it on images of the job."""

from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from random import Random

import numpy as np

from domain.model import ModelCard, Verdict
from serving.preprocess import Pixels
from training.config.train_config import TrainConfig
from training.data.dataset import Dataset, Example
from training.data.loader import Images
from training.data.sampling import sample, true_labels
from training.model import package
from training.model.mcnemar import PairedCounts
from training.model.package import Files

IMAGES_AT_ONCE = 32

OUTCOME_WORDS = {"kept": "accepted", "refused": "rejected", "not judged": "not evaluated"}
"""The words of a card, for the log."""


def compile_for_cpu(
    config: TrainConfig, card: ModelCard, weights: bytes, dataset: Dataset, images: Images
) -> tuple[ModelCard, Files]:
    """The card with the served precision and the reasons, and the files it names.

    Training images calibrate, held-out images evaluate. The accuracy on the card stays that of
    fp32, which was measured before this choice was made.
    """
    if config.compile == "none" or not find_spec("openvino"):
        return card, package.NONE
    from training.model import quantise  # seconds

    if config.compile == "fp32":
        return quantise.compile_fp32(card, weights)
    rng = Random(config.seed)
    held_out = [
        example for name in dataset.splits if name != "train" for example in dataset.splits[name]
    ]
    evaluation_examples = sample(held_out, quantise.EVALUATION_IMAGES, rng)
    photos = quantise.LabelledPixels(
        _pixels(images, evaluation_examples),
        true_labels(evaluation_examples),
    )
    calibration_examples = sample(dataset.splits["train"], quantise.CALIBRATION_IMAGES, rng)
    return quantise.compile_best(card, weights, _pixels(images, calibration_examples), photos)


def describe(card: ModelCard) -> str:
    if card.openvino is None:
        return "serves with PyTorch"
    verdicts = "; ".join(map(_describe_verdict, card.openvino.verdicts))
    return f"serves on a CPU in {card.openvino.precision}" + (f" ({verdicts})" if verdicts else "")


def _describe_verdict(verdict: Verdict) -> str:
    from training.model.quantise import (
        MIN_IMAGES,  # seconds, and it has been imported where there is one
    )

    if verdict.photos < MIN_IMAGES:
        return f"{verdict.precision} not evaluated: {verdict.photos} of {MIN_IMAGES} images needed"
    most = PairedCounts(verdict.wins, verdict.losses).max_loss(verdict.photos)
    return (
        f"{verdict.precision} {OUTCOME_WORDS[verdict.outcome]} on {verdict.photos} images: "
        f"{verdict.losses} regressions, {verdict.wins} improvements, accuracy loss at most "
        f"{100 * most:.1f} points (95 % one-sided), {verdict.agreed}/{verdict.confident} confident "
        "predictions unchanged"
    )


def _pixels(images: Images, examples: Sequence[Example]) -> Pixels:
    loads = [partial(images.load, example) for example in examples]
    return np.concatenate(
        list(
            images.load_batches(
                loads[at : at + IMAGES_AT_ONCE] for at in range(0, len(loads), IMAGES_AT_ONCE)
            )
        )
    )
