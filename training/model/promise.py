"""The score above which a model keeps its promise: at most so many accepted answers are wrong.

Fixed-sequence testing (Angelopoulos et al., "Learn then Test", 2021) on validation images: the most
confident ones are accepted in growing numbers, which depend on no answer, as long as the bound of
Clopper and Pearson (Biometrika 26, 1934) on their error stays within the promise. The sequence
starts twice, each time with half of the 5 % that may go wrong: with few images, which a weak model
needs, and with half of them, because one confident mistake among few ends a sequence early.
"""

import math

import numpy as np
from numpy.typing import NDArray

from domain.model import SCORE_DIGITS, Promise

CONFIDENCE = 0.95
STARTS = 2
STEPS = 20
"""Of a twentieth of the images each."""


def choose_threshold(
    scores: NDArray[np.floating], correct: NDArray[np.bool_], max_error: float
) -> Promise:
    """The lowest threshold that keeps the promise; 1, which no score exceeds, if none does.

    `scores`: (images,), of the best label, as they serve; `correct`: (images,).
    """
    scores = scores.round(SCORE_DIGITS)
    order = np.argsort(-scores, kind="stable")
    scores, wrong = scores[order], np.cumsum(~correct[order], dtype=np.int64)
    accepted = max(
        (_accept(scores, wrong, start, max_error) for start in _starts(len(scores), max_error)),
        default=0,
    )
    threshold = 1.0 if not accepted else 0.0
    if 0 < accepted < len(scores):
        threshold = float(scores[accepted])
    mistakes = int(wrong[accepted - 1]) if accepted else 0
    return Promise(max_error, threshold, accepted, mistakes, len(scores))


def _starts(images: int, max_error: float) -> tuple[int, ...]:
    """Twice the images of which all must be right: one mistake is allowed."""
    fewest = 2 * math.ceil(math.log((1 - CONFIDENCE) / STARTS) / math.log1p(-max_error))
    return (fewest, max(fewest, images // 2)) if fewest <= images else ()


def _accept(
    scores: NDArray[np.floating], wrong: NDArray[np.int64], start: int, max_error: float
) -> int:
    """How many images the sequence from `start` accepts; equal scores are accepted together."""
    images, accepted = len(scores), 0
    for count in range(start, images + 1, max(1, images // STEPS)):
        count = int(np.searchsorted(-scores, -scores[count - 1], side="right"))
        if error_bound(int(wrong[count - 1]), count, (1 - CONFIDENCE) / STARTS) > max_error:
            break
        accepted = count
    return accepted


def error_bound(wrong: int, images: int, risk: float) -> float:
    """Clopper-Pearson: the lowest error rate that gives `wrong` or fewer only with `risk`."""
    low, high = wrong / images, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if _at_most(wrong, images, middle) > risk:
            low = middle
        else:
            high = middle
    return high


def _at_most(wrong: int, images: int, rate: float) -> float:
    """The binomial probability of at most `wrong`."""
    if rate in (0.0, 1.0):
        return float(rate == 0.0 or wrong == images)
    odds, term = math.log(rate) - math.log1p(-rate), images * math.log1p(-rate)
    total = math.exp(term)
    for count in range(1, wrong + 1):
        term += math.log(images - count + 1) - math.log(count) + odds
        total += math.exp(term)
    return total
