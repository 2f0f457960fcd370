"""Whether one model is better than another on the same images, or luckier."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Paired:
    """Two models on the same images, counted where exactly one of them is right."""

    wins: int
    """The candidate is right, the other wrong."""
    losses: int

    @property
    def p_value(self) -> float:
        """Exact McNemar, two-sided: how often a fair coin falls as unevenly as this."""
        count, fewer = self.wins + self.losses, min(self.wins, self.losses)
        ways = total = 1
        for k in range(1, fewer + 1):
            ways = ways * (count - k + 1) // k
            total += ways
        return min(1.0, float(2 * total / 2**count))

    @property
    def is_worse(self) -> bool:
        """More than luck explains."""
        return self.losses > self.wins and self.p_value < 0.05
