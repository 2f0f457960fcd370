"""Whether one model is significantly better than another on the same images."""

import math
from dataclasses import dataclass

Z_95 = 1.6448536269514722
"""The 95th percentile of the normal distribution: one-sided."""


@dataclass(frozen=True, slots=True)
class PairedCounts:
    """Two models on the same images: the images on which exactly one of them is right."""

    wins: int
    """The candidate is right, the other wrong."""
    losses: int

    @property
    def p_value(self) -> float:
        """Exact McNemar test, two-sided."""
        count, fewer = self.wins + self.losses, min(self.wins, self.losses)
        ways = total = 1
        for k in range(1, fewer + 1):
            ways = ways * (count - k + 1) // k
            total += ways
        return min(1.0, float(2 * total / 2**count))

    def max_loss(self, images: int) -> float:
        """The accuracy lost, at most, with a confidence of 95 % (one-sided); from 0 to 1.

        Tango's score bound for a difference of paired proportions (Statistics in Medicine 17,
        1998): the largest loss that these counts do not reject. Paired, because on the same images
        most answers are the same and say nothing of the difference; a score bound, because wins and
        losses are few or none, where Wald's is far too narrow and the exact ones so wide that a
        thousand images would not do. With no wins and no losses it is 2.7 / (images + 2.7).
        """
        low, high = max(-1.0, (self.losses - self.wins) / images), 1.0
        for _ in range(60):
            middle = (low + high) / 2
            if self._score(images, middle) > -Z_95:
                low = middle
            else:
                high = middle
        return high

    def _score(self, images: int, loss: float) -> float:
        """Distance of the counts from those expected for a `loss`, in standard deviations."""
        a = 2 * images
        b = (2 * images - self.losses + self.wins) * loss - self.losses - self.wins
        c = -self.wins * loss * (1 - loss)
        rare = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
        variance = images * (2 * rare + loss * (1 - loss))
        gap = self.losses - self.wins - images * loss
        return gap / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, gap)

    @property
    def is_worse(self) -> bool:
        """Significantly, at p < 0.05."""
        return self.losses > self.wins and self.p_value < 0.05
