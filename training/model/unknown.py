"""The rule by which a model calls an image unknown, and the training images that it compares with.

The threshold is that of split conformal prediction (Vovk et al., 2005): the distance that just so
many of the validation images exceed that a further image like them exceeds it with a probability of
at most `share`. It says nothing of how many other images stay below it.
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Sequence
from random import Random

import numpy as np
from numpy.typing import NDArray

from domain.model import MOST_NEIGHBOURS, SCORE_DIGITS, UnknownRule
from training.data.dataset import Example

NEIGHBOURS = 500
"""Training images at least, where there are so many. Twice as many take twice the time for each
batch, and what is let through differs by less than chance: docs/benchmarks.md has both."""

NEIGHBOURS_PER_CLASS = 10
"""Twice as many as the distance is measured to."""


def choose_neighbours(examples: Sequence[Example], labels: int, rng: Random) -> list[Example]:
    """As many of each class as there is room for: the images of a rare class are not unknown."""
    most = min(MOST_NEIGHBOURS, max(NEIGHBOURS, NEIGHBOURS_PER_CLASS * labels))
    shuffled = rng.sample(list(examples), len(examples))
    by_rank: defaultdict[int, list[Example]] = defaultdict(list)
    ranks: defaultdict[int, int] = defaultdict(int)
    for example in shuffled:
        by_rank[ranks[example.label]].append(example)
        ranks[example.label] += 1
    return [example for rank in sorted(by_rank) for example in by_rank[rank]][:most]


def images_needed(share: float) -> int:
    """Validation images without which no threshold keeps `share`."""
    return math.ceil(1 / share) - 1


def are_unknown(rule: UnknownRule, distances: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(images,) distances to (images,), as serving decides."""
    return np.array([rule.is_unknown(distance) for distance in distances.tolist()], np.bool_)


def choose_rule(
    share: float, distances: NDArray[np.floating], neighbours: NDArray[np.int8]
) -> UnknownRule:
    """`distances`: (images,) of validation, `images_needed(share)` or more; `neighbours`: the rows
    that they were measured from."""
    distances = np.sort([round(distance, SCORE_DIGITS) for distance in distances.tolist()])
    beyond = math.floor(share * (len(distances) + 1) + 1e-9)
    threshold = float(distances[-beyond])
    return UnknownRule(
        share=share,
        threshold=threshold,
        unknown=int((distances > threshold).sum()),
        images=len(distances),
        neighbours=len(neighbours),
        features=neighbours.shape[1],
        sha256=hashlib.sha256(neighbours.tobytes()).hexdigest(),
    )
