"""What an engine gives for a batch."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]
"""(images, labels) probabilities: float32 from a network, float64 where a temperature was
applied."""

Features = NDArray[np.float32]
"""(images, features): what the head of the network takes."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """Of one pass of the network, image by image."""

    scores: Scores
    features: Features | None
    """None where the archive has none: it is of before there were any, or the network does not end
    in a linear layer."""


def concatenate(parts: Iterable[Outputs]) -> Outputs:
    """The outputs of a batch from those of its parts, of which there is at least one."""
    scores, features = zip(*((part.scores, part.features) for part in parts), strict=True)
    known = [part for part in features if part is not None]
    return Outputs(np.concatenate(scores), np.concatenate(known) if known else None)
