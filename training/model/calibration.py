"""The temperature of a model: the number that divides its logits, so that scores are honest.

Guo et al., "On Calibration of Modern Neural Networks" (2017): of the ways to calibrate a network
this simplest one works best, and the order of labels, so the accuracy, stays as it was.
"""

import math

import numpy as np
from numpy.typing import NDArray

from domain.model import HIGHEST_TEMPERATURE
from serving.engines import divide_logits

MIN_IMAGES = 100
"""With fewer images the temperature is not fitted: its own error is as large as what it mends."""

MAX_PROBABILITIES = 20_000_000
"""Images times labels, 160 MB: with more than 20,000 labels there are fewer images."""

SHARPEST = 0.5
"""Validation images that are all labelled right would ask for scores of 1."""

GOLDEN = (math.sqrt(5) - 1) / 2
STEPS = 40
"""Of the golden section: the interval shrinks to 1e-8 of itself."""

DIGITS = 4


def fit_temperature(probabilities: NDArray[np.floating], truth: NDArray[np.int64]) -> float:
    """The temperature with the least cross-entropy, from SHARPEST to HIGHEST_TEMPERATURE.

    `probabilities`: (images, labels), as the network gives them; `truth`: (images,), the index of
    the true label. The cross-entropy is convex in 1 / temperature, so a golden section finds it.
    """
    least = np.finfo(np.float32).tiny  # a true label that was rounded to 0 must still count
    probabilities = np.maximum(probabilities, least)
    low, high = 1 / HIGHEST_TEMPERATURE, 1 / SHARPEST

    def loss(inverse: float) -> float:
        return cross_entropy(divide_logits(probabilities, 1 / inverse), truth)

    left, right = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    loss_left, loss_right = loss(left), loss(right)
    for _ in range(STEPS):
        if loss_left <= loss_right:
            high, right, loss_right = right, left, loss_left
            left = high - GOLDEN * (high - low)
            loss_left = loss(left)
        else:
            low, left, loss_left = left, right, loss_right
            right = low + GOLDEN * (high - low)
            loss_right = loss(right)
    return round(2 / (low + high), DIGITS)


def cross_entropy(probabilities: NDArray[np.float64], truth: NDArray[np.int64]) -> float:
    """In nats, per image; no probability is 0."""
    return float(-np.log(probabilities[np.arange(len(truth)), truth]).mean())
