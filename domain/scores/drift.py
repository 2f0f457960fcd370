"""Whether a folder's answers look like those that the model gave on its test images.

Compares two histograms of best scores. Images of another kind get lower scores, so the test is for
lower ones only. Each bin weighs as the negative logarithm of its rank in both histograms together:
the lowest scores count most, whatever the scores themselves are. The mean weight of a random draw
of as many images from both has a known mean, variance and skewness, and its tail is that of a
normal distribution corrected for skewness (Cornish and Fisher, first term). In simulation, at most
4 of 10,000 quiet folders of 50 to 1,000 images have a probability below ALARM_PROBABILITY.

Standard library only; a histogram has BINS numbers, whatever the number of images.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

BINS = 20
"""Of equal width, from 0 to 1."""

ALARM_PROBABILITY = 0.0005
"""Half of one quiet folder in a thousand."""

MIN_IMAGES = 50
"""Of either histogram: with fewer, nothing is said."""


@dataclass(frozen=True, slots=True)
class Drift:
    """`probability`: of scores that are as low by chance; the means are those of bins."""

    images: int
    mean_score: float
    test_images: int
    test_mean_score: float
    probability: float

    @property
    def is_alarming(self) -> bool:
        return self.probability < ALARM_PROBABILITY

    def to_document(self) -> dict[str, Any]:
        return {
            "images": self.images,
            "mean_score": round(self.mean_score, 3),
            "test_images": self.test_images,
            "test_mean_score": round(self.test_mean_score, 3),
            "probability": float(f"{self.probability:.2g}"),
            "alarm": self.is_alarming,
        }


def bin_of(score: float) -> int:
    return min(max(int(score * BINS), 0), BINS - 1)


def make_histogram(scores: Iterable[float]) -> list[int]:
    counts = [0] * BINS
    for score in scores:
        counts[bin_of(score)] += 1
    return counts


def parse_histogram(value: object) -> list[int] | None:
    """None for anything but BINS counts."""
    if not isinstance(value, list) or len(value) != BINS:
        return None
    return value if all(type(count) is int and count >= 0 for count in value) else None


def compare(test: Sequence[int], answers: Sequence[int]) -> Drift | None:
    """Histograms of the model's test images, and of answers by it. None for too few images."""
    test_images, images = sum(test), sum(answers)
    if min(test_images, images) < MIN_IMAGES:
        return None
    return Drift(images, _mean(answers), test_images, _mean(test), _tail(test, answers))


def _tail(test: Sequence[int], answers: Sequence[int]) -> float:
    pool = [one + other for one, other in zip(test, answers, strict=True)]
    total, n = sum(pool), sum(answers)
    below, weights = 0, []
    for count in pool:
        weights.append(-math.log(max(below + count / 2, 0.5) / total))
        below += count

    mean = _moment(pool, weights, 0, 1)
    variance = _moment(pool, weights, mean, 2)
    if sum(count > 0 for count in pool) < 2:  # equal scores
        return 1.0
    drawn = math.fsum(c * w for c, w in zip(answers, weights, strict=True)) / n
    spread = math.sqrt(variance * total / (total - 1) * (1 / n - 1 / total))
    skewness = _moment(pool, weights, mean, 3) / variance**1.5
    skewness *= (1 - 2 * n / total) / math.sqrt(n * (1 - n / total))
    z = (drawn - mean) / spread
    z -= skewness * (z * z - 1) / 6
    return 0.5 * math.erfc(z / math.sqrt(2))


def _moment(counts: Sequence[int], values: Sequence[float], centre: float, power: int) -> float:
    pairs = zip(counts, values, strict=True)
    return math.fsum(count * (value - centre) ** power for count, value in pairs) / sum(counts)


def _mean(counts: Sequence[int]) -> float:
    middles = ((number + 0.5) / BINS for number in range(BINS))
    return math.fsum(c * m for c, m in zip(counts, middles, strict=True)) / sum(counts)
