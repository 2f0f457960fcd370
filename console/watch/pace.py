"""How fast answers come, from the last minute of counts."""

from collections import deque
from dataclasses import dataclass, field

WINDOW_SECONDS = 60.0


@dataclass(slots=True)
class Pace:
    """Counts of answers over time; holds those of the last minute."""

    counts: deque[tuple[float, int]] = field(default_factory=deque)
    last_change: float | None = None
    """When the count last grew, or was first taken."""

    def add(self, at: float, answers: int, images: int | None = None) -> None:
        """`at` in seconds of any clock that does not go back.

        Where `images` is the number of all images and none waits, counting begins anew: the time
        in which nothing is to be answered says nothing about the rate.
        """
        if images is not None and answers >= images:
            self.counts.clear()
        if not self.counts or answers > self.counts[-1][1]:
            self.last_change = at
        self.counts.append((at, answers))
        while len(self.counts) > 2 and at - self.counts[0][0] > WINDOW_SECONDS:
            self.counts.popleft()

    @property
    def rate(self) -> float:
        """Answers a second; 0 while none come."""
        if not self.counts:
            return 0.0
        (first, before), (last, after) = self.counts[0], self.counts[-1]
        return max(0, after - before) / (last - first) if last > first else 0.0

    def seconds_left(self, images: int) -> float | None:
        """Until so many images are answered, at the present rate; None if that cannot be said."""
        left = images - self.counts[-1][1] if self.counts else 0
        return left / self.rate if left > 0 and self.rate > 0 else None

    def is_stuck(self, at: float, seconds: float) -> bool:
        return self.last_change is not None and at - self.last_change >= seconds
