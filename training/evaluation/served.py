"""Calibrates and evaluates a model as it will be served on a CPU."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from random import Random

import numpy as np
from numpy.typing import NDArray

from domain.archive import NEIGHBOURS
from domain.model import ModelCard, Promise, UnknownRule
from serving.engines import Engine, divide_logits, with_temperature
from serving.engines.outputs import Outputs, concatenate
from serving.neighbours import Neighbours, quantise
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
from training.model.unknown import are_unknown, choose_neighbours, choose_rule, images_needed

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
) -> tuple[ModelCard, Neighbours | None]:
    """The card with what validation images choose, answered as the model serves them: a
    temperature, if there are `calibration.MIN_IMAGES`; what is unknown, by `unknown`; among the
    others the threshold of `max-error`. And the neighbours of the rule for unknown images, if the
    card has one.
    """
    validation = dataset.splits["validation"]
    fits = len(validation) >= calibration.MIN_IMAGES
    most = min(MAX_VALIDATION, calibration.MAX_PROBABILITIES // len(card.labels))
    looked_at = min(len(validation), most)
    tells_unknown = config.unknown and looked_at >= images_needed(config.unknown)
    if not fits and not config.max_error and not tells_unknown:
        return card, None
    examples = sample(validation, most, Random(config.seed))
    truth = true_labels(examples)
    outputs = concatenate(_outputs(engine, images, examples))
    probabilities, neighbours = outputs.scores, None
    if fits:
        card = replace(card, temperature=calibration.fit_temperature(probabilities, truth))
        probabilities = divide_logits(probabilities, card.temperature or 1)
    known: NDArray[np.int64] = np.arange(len(examples))
    if tells_unknown and outputs.features is not None:
        chosen = choose_neighbours(dataset.splits["train"], len(card.labels), Random(config.seed))
        learnt = [
            batch.features for batch in _outputs(engine, images, chosen)
        ]  # without the scores
        rows = [features for features in learnt if features is not None]
        neighbours = Neighbours(quantise(np.concatenate(rows)))
        distances = neighbours.distances(outputs.features)
        rule = choose_rule(config.unknown, distances, neighbours.rows)
        known = np.flatnonzero(~are_unknown(rule, distances))
        card = replace(card, unknown=rule)
    if config.max_error:
        predicted, scores = labels_and_scores(probabilities[known])
        promise = choose_threshold(scores, predicted == truth[known], config.max_error)
        card = replace(card, promise=promise)
    return card, neighbours


def neighbour_files(neighbours: Neighbours | None) -> Files:
    """The files of the archive that hold them: one, or none."""
    return {} if neighbours is None else {NEIGHBOURS: neighbours.rows.tobytes()}


def evaluate(
    card: ModelCard,
    engine: Engine,
    neighbours: Neighbours | None,
    dataset: Dataset,
    images: Images,
) -> Evaluation | None:
    """Of the model as it serves, on the test split; None where that is what fp32 gives.

    In fp32 with a temperature labels stay and scores change: MAX_RESCORED images show that.
    """
    examples: Sequence[Example] = dataset.splits[dataset.test_split]
    if card.precision == "fp32":
        if card.temperature is None and card.promise is None and card.unknown is None:
            return None
        examples = sample(examples, MAX_RESCORED, Random(0))
    rows, at = [], 0
    for outputs in _outputs(with_temperature(engine, card.temperature), images, examples):
        truth = true_labels(examples[at : at + len(outputs.scores)])
        table = to_rows(outputs.scores, truth)
        if neighbours and outputs.features is not None:
            table = np.column_stack([table, neighbours.distances(outputs.features)])
        rows.append(table)
        at += len(table)
    return from_rows(np.concatenate(rows))


def _outputs(engine: Engine, images: Images, examples: Sequence[Example]) -> Iterator[Outputs]:
    """Of IMAGES_AT_ONCE at a time, in order.

    Bounded memory: the next images are read meanwhile, whatever the number of examples.
    """
    loads = [partial(images.load, example) for example in examples]
    batches = (loads[at : at + IMAGES_AT_ONCE] for at in range(0, len(loads), IMAGES_AT_ONCE))
    for pixels in images.load_batches(batches):
        yield engine(pixels, True)


def metrics(card: ModelCard, served: Evaluation | None) -> dict[str, float]:
    """The accuracy as it serves, and the calibration error if that was measured."""
    accuracy = served.accuracy if served and card.precision != "fp32" else card.metrics["accuracy"]
    measured = {SERVED: round(accuracy, 6)}
    if served:
        measured[SERVED_CALIBRATION] = round(served.calibration_error, 6)
    return measured


def describe(config: TrainConfig, card: ModelCard) -> str:
    scores = f"scores not calibrated: {calibration.MIN_IMAGES} validation images are needed"
    if card.temperature is not None:
        scores = f"scores calibrated on validation images: temperature {card.temperature:g}"
    parts = [scores]
    if card.promise is not None:
        known = "" if card.unknown is None else " that are not unknown"
        parts.append(describe_promise(card.promise, known))
    if card.unknown is not None:
        parts.append(describe_unknown(card.unknown))
    elif config.unknown:
        parts.append(
            f"no image is called unknown: that needs {images_needed(config.unknown):,} validation "
            f"images, of which {MAX_VALIDATION:,} at most are looked at, and a network that ends "
            "in a linear layer"
        )
    return "; ".join(parts)


def describe_unknown(rule: UnknownRule) -> str:
    return (
        f"images farther than {rule.threshold:.4g} from the fifth nearest of {rule.neighbours:,} "
        f"training images are unknown: {rule.unknown} of {rule.images} validation images"
    )


def describe_promise(promise: Promise, known: str) -> str:
    """`known`: of which validation images and answers it is, if not of all."""
    most = f"{promise.max_error:.4g}"
    if not promise.accepted:
        return (
            f"an error of at most {most} cannot be promised from {promise.images} validation "
            f"images{known}: no answer is accepted"
        )
    return (
        f"at most {most} of the answers above {promise.threshold:.6g}{known} are wrong (95 % "
        f"confidence): {promise.wrong} of {promise.accepted} accepted ones among {promise.images} "
        f"validation images{known}"
    )
