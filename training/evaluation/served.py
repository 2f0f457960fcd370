"""Calibrates and evaluates a model as it will be served on a CPU."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from random import Random

import numpy as np
from numpy.typing import NDArray

from domain.model import ModelCard, Promise
from serving.engines import Engine, divide_logits, with_temperature
from training.config.metrics import SERVED, SERVED_CALIBRATION
from training.config.train_config import TrainConfig
from training.data.dataset import Dataset, Example
from training.data.loader import Images
from training.data.sampling import sample, true_labels
from training.evaluation.accuracy import Evaluation, from_rows
from training.model import calibration
from training.model.compile import IMAGES_AT_ONCE
from training.model.package import Files
from training.model.prediction import labels_and_scores, to_rows
from training.model.promise import choose_threshold
from training.model.torch_engine import torch_engine

MAX_VALIDATION = 2_000
"""Images: more change the temperature by less than a hundredth."""

MAX_RESCORED = 2_000
"""Images: the calibration error changes by less than its own uncertainty, about 0.01."""


def make_engine(card: ModelCard, weights: bytes, files: Files) -> Engine:
    """What serves a model that is not packed yet, before a temperature."""
    if card.openvino is None:
        return torch_engine(card, weights)
    from training.model import quantise  # seconds

    return quantise.served_engine(card, files)


def calibrate(
    config: TrainConfig, card: ModelCard, engine: Engine, dataset: Dataset, images: Images
) -> ModelCard:
    """The card with what validation images choose, answered as the model serves them: a
    temperature, if there are `calibration.MIN_IMAGES`; the threshold of `max-error`, if it is set.
    """
    validation = dataset.splits["validation"]
    fits = len(validation) >= calibration.MIN_IMAGES
    if not fits and not config.max_error:
        return card
    most = min(MAX_VALIDATION, calibration.MAX_PROBABILITIES // len(card.labels))
    examples = sample(validation, most, Random(config.seed))
    truth = true_labels(examples)
    probabilities = np.concatenate(list(_probabilities(engine, images, examples)))
    if fits:
        card = replace(card, temperature=calibration.fit_temperature(probabilities, truth))
        probabilities = divide_logits(probabilities, card.temperature or 1)
    if config.max_error:
        predicted, scores = labels_and_scores(probabilities)
        promise = choose_threshold(scores, predicted == truth, config.max_error)
        card = replace(card, promise=promise)
    return card


def evaluate(
    card: ModelCard, engine: Engine, dataset: Dataset, images: Images
) -> Evaluation | None:
    """Of the model as it serves, on the test split; None where that is what fp32 gives.

    In fp32 with a temperature labels stay and scores change: MAX_RESCORED images show that.
    """
    examples: Sequence[Example] = dataset.splits[dataset.test_split]
    if card.precision == "fp32":
        if card.temperature is None and card.promise is None:
            return None
        examples = sample(examples, MAX_RESCORED, Random(0))
    rows, at = [], 0
    for probabilities in _probabilities(
        with_temperature(engine, card.temperature), images, examples
    ):
        truth = true_labels(examples[at : at + len(probabilities)])
        rows.append(to_rows(probabilities, truth))
        at += len(probabilities)
    return from_rows(np.concatenate(rows))


def _probabilities(
    engine: Engine, images: Images, examples: Sequence[Example]
) -> Iterator[NDArray[np.floating]]:
    """(IMAGES_AT_ONCE, labels) at a time, in order.

    Bounded memory: the next images are read meanwhile, whatever the number of examples.
    """
    loads = [partial(images.load, example) for example in examples]
    batches = (loads[at : at + IMAGES_AT_ONCE] for at in range(0, len(loads), IMAGES_AT_ONCE))
    for pixels in images.load_batches(batches):
        yield engine(pixels, True).scores


def metrics(card: ModelCard, served: Evaluation | None) -> dict[str, float]:
    """The accuracy as it serves, and the calibration error if that was measured."""
    accuracy = served.accuracy if served and card.precision != "fp32" else card.metrics["accuracy"]
    measured = {SERVED: round(accuracy, 6)}
    if served:
        measured[SERVED_CALIBRATION] = round(served.calibration_error, 6)
    return measured


def describe(card: ModelCard) -> str:
    scores = f"scores not calibrated: {calibration.MIN_IMAGES} validation images are needed"
    if card.temperature is not None:
        scores = f"scores calibrated on validation images: temperature {card.temperature:g}"
    return scores if card.promise is None else f"{scores}; {describe_promise(card.promise)}"


def describe_promise(promise: Promise) -> str:
    most = f"{promise.max_error:.4g}"
    if not promise.accepted:
        return (
            f"an error of at most {most} cannot be promised from {promise.images} validation "
            "images: every answer is unsure"
        )
    return (
        f"at most {most} of the answers above {promise.threshold:.6g} are wrong (95 % confidence): "
        f"{promise.wrong} of {promise.accepted} accepted ones among {promise.images} validation "
        "images"
    )
