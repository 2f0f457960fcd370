"""Whether thresholds for each class are worth it for a promised error, by simulation.

`python -m benchmarks.simulations.promise [--worlds 300] [--seed 0]`

A world has CLASSES classes, normally distributed around centres, each with a deviation of its own
that the classifier does not know: its scores are honest on average and not for every label.
Thresholds are chosen by validation images and judged on TEST_IMAGES others. The decision record on
one threshold for a promised error has what came of it.
"""

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.model.promise import CONFIDENCE, STEPS, choose_threshold, error_bound

CLASSES, DIMENSIONS = 10, 9
SPREAD = 1.15
"""Of the centres: the classifier is right of 87 % of images."""

DEVIATIONS = (0.7, 1.35)
MAX_ERROR = 0.05
TEST_IMAGES = 20_000
VALIDATION_IMAGES = (341, 1_000, 2_000)

PRIOR_IMAGES = 4
"""By which a label's share of right answers is drawn to its mean score."""

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Answers:
    labels: NDArray[np.int64]
    scores: Floats
    correct: NDArray[np.bool_]

    def take(self, rows: NDArray[np.bool_]) -> "Answers":
        return Answers(self.labels[rows], self.scores[rows], self.correct[rows])


Policy = Callable[[Answers, Answers, np.random.Generator], NDArray[np.bool_]]
"""By validation answers, which of the test answers are accepted."""


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.simulations.promise", description=__doc__
    )
    parser.add_argument("--worlds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    settings = parser.parse_args(arguments)
    random = np.random.default_rng(settings.seed)
    policies: dict[str, Policy] = {
        "one threshold": one_threshold,
        "each class": each_class,
        "shifted by half": shifted_by_half,
        "shifted by the same": shifted_by_the_same,
    }
    for images in VALIDATION_IMAGES:
        rows: dict[str, list[tuple[float, bool, bool]]] = {name: [] for name in policies}
        for _ in range(settings.worlds):
            validation, test = draw_world(random, images)
            for name, policy in policies.items():
                rows[name].append(judge(test, policy(validation, test, random)))
        print(f"{images:,} validation images")
        for name, outcomes in rows.items():
            accepted, broken, above = np.mean(outcomes, 0)
            print(
                f"  {name:20} {accepted:.1%} accepted, promise broken {broken:.1%}, "
                f"a label above {MAX_ERROR:.0%} wrong {above:.1%}",
                flush=True,
            )
    return 0


def draw_world(random: np.random.Generator, images: int) -> tuple[Answers, Answers]:
    centres = random.normal(0, SPREAD, (CLASSES, DIMENSIONS))
    deviations = random.uniform(*DEVIATIONS, CLASSES)

    def answers(count: int) -> Answers:
        truth = random.integers(0, CLASSES, count)
        noise = deviations[truth][:, None] * random.normal(size=(count, DIMENSIONS))
        points = centres[truth] + noise
        distances = ((points[:, None] - centres) ** 2).sum(2) / 2  # (count, CLASSES)
        scores = np.exp(distances.min(1, keepdims=True) - distances)
        scores /= scores.sum(1, keepdims=True)
        labels = scores.argmax(1)
        return Answers(labels, scores.max(1), labels == truth)

    return answers(images), answers(TEST_IMAGES)


def judge(test: Answers, accepted: NDArray[np.bool_]) -> tuple[float, bool, bool]:
    """The share accepted, whether more of them are wrong than promised, and of any label."""

    def is_broken(rows: NDArray[np.bool_]) -> bool:
        return bool(rows.any() and (~test.correct[rows]).mean() > MAX_ERROR)

    by_label = (accepted & (test.labels == label) for label in range(CLASSES))
    return float(accepted.mean()), is_broken(accepted), any(map(is_broken, by_label))


def one_threshold(
    validation: Answers, test: Answers, random: np.random.Generator
) -> NDArray[np.bool_]:
    promise = choose_threshold(validation.scores, validation.correct, MAX_ERROR)
    return np.asarray(test.scores > promise.threshold)


def each_class(
    validation: Answers, test: Answers, random: np.random.Generator
) -> NDArray[np.bool_]:
    """Fixed-sequence testing for each label, with its part of the risk, from as few answers as
    could show it.
    """
    risk = (1 - CONFIDENCE) / CLASSES
    fewest = math.ceil(math.log(risk) / math.log1p(-MAX_ERROR))
    thresholds = np.ones(CLASSES)
    for label in range(CLASSES):
        own = validation.take(validation.labels == label)
        order = np.argsort(-own.scores, kind="stable")
        wrong = np.cumsum(~own.correct[order])
        for count in range(fewest, len(order) + 1, max(1, len(order) // STEPS)):
            if error_bound(int(wrong[count - 1]), count, risk) > MAX_ERROR:
                break
            thresholds[label] = own.scores[order][count] if count < len(order) else 0
    return np.asarray(test.scores > thresholds[test.labels])


def shifted_by_half(
    validation: Answers, test: Answers, random: np.random.Generator
) -> NDArray[np.bool_]:
    half = random.permutation(len(validation.labels)) < len(validation.labels) // 2
    return _shifted(validation.take(half), validation.take(~half), test)


def shifted_by_the_same(
    validation: Answers, test: Answers, random: np.random.Generator
) -> NDArray[np.bool_]:
    return _shifted(validation, validation, test)


def _shifted(fitted: Answers, chosen: Answers, test: Answers) -> NDArray[np.bool_]:
    """One threshold for scores that `fitted` has shifted, label by label."""
    shifts = np.array([_shift(fitted.take(fitted.labels == label)) for label in range(CLASSES)])
    scores = _sigmoid(_logit(chosen.scores) + shifts[chosen.labels])
    threshold = choose_threshold(scores, chosen.correct, MAX_ERROR).threshold
    return np.asarray(_sigmoid(_logit(test.scores) + shifts[test.labels]) > threshold)


def _shift(own: Answers) -> float:
    """Of the logits, so that the mean score is the share of right answers."""
    if not len(own.labels):
        return 0.0
    mean = float(own.scores.mean())
    target = (own.correct.sum() + PRIOR_IMAGES * mean) / (len(own.labels) + PRIOR_IMAGES)
    low, high = -6.0, 6.0
    for _ in range(30):
        middle = (low + high) / 2
        if _sigmoid(_logit(own.scores) + middle).mean() < target:
            low = middle
        else:
            high = middle
    return low


def _logit(scores: Floats) -> Floats:
    inside = np.clip(scores, 1e-6, 1 - 1e-6)
    return np.asarray(np.log(inside / (1 - inside)))


def _sigmoid(values: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-values)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
