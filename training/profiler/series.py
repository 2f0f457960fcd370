"""Time series in bounded memory, and their trend."""

from dataclasses import dataclass, field

MAX_POINTS = 1000


@dataclass
class Series:
    """Keeps every number, later every second, then every fourth …"""

    points: list[tuple[float, float]] = field(default_factory=list)
    _stride: int = 1
    _count: int = 0

    def add(self, x: float, y: float) -> None:
        if self._count % self._stride == 0:
            self.points.append((x, y))
        self._count += 1
        if len(self.points) >= MAX_POINTS:
            self.points = self.points[::2]
            self._stride *= 2

    @property
    def values(self) -> list[float]:
        return [y for _, y in self.points]


@dataclass(frozen=True, slots=True)
class Trend:
    slope: float
    fit: float
    """R²: 1 is a straight line."""
    late_slope: float
    """Of the second half."""


def trend(points: list[tuple[float, float]]) -> Trend:
    """Least squares."""
    slope, fit = _line(points)
    return Trend(slope, fit, _line(points[len(points) // 2 :])[0])


def _line(points: list[tuple[float, float]]) -> tuple[float, float]:
    count = len(points)
    mean_x, mean_y = (sum(point[axis] for point in points) / count for axis in (0, 1))
    across = sum((x - mean_x) ** 2 for x, _ in points)
    both = sum((x - mean_x) * (y - mean_y) for x, y in points)
    up = sum((y - mean_y) ** 2 for _, y in points)
    if not across or not up:
        return 0.0, 0.0
    return both / across, both**2 / (across * up)
