"""Lines over steps or seconds as SVG text, escaped; nothing in them is fetched from anywhere."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from training.reports.charts import svg, text

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 620, 240, 62, 12, 34, 38
COLOURS = ("#2f6fde", "#d9772b", "#1f7a4d", "#8a4fb8", "#c0392b", "#8a8f98")
MAX_DRAWN_POINTS = 600
"""Points of a line: more are not seen, and make the file large."""

MARKS = 4
"""On an axis, beside the first."""

Points = Sequence[tuple[float, float]]


def lines(series: Mapping[str, Points], title: str, below: str, logarithmic: bool = False) -> str:
    """Nothing, where there is nothing to draw. One line alone is told by the title."""
    drawn = {name: thinned(_drawable(points, logarithmic)) for name, points in series.items()}
    drawn = {name: points for name, points in drawn.items() if points}
    if not drawn:
        return ""
    frame = _Frame.around([point for points in drawn.values() for point in points], logarithmic)
    parts = [text(LEFT, 16, title), *frame.axes(below)]
    for number, (name, points) in enumerate(drawn.items()):
        colour = COLOURS[number % len(COLOURS)]
        parts += frame.line(points, colour)
        parts += _legend(name, number, colour) if len(drawn) > 1 else []
    return svg(WIDTH, HEIGHT, title, parts)


def bars(shares: Mapping[str, float], label: str) -> str:
    """One bar in parts; `shares` of the whole."""
    parts, x = [text(0, 14, label)], 0.0
    for number, (name, share) in enumerate(shares.items()):
        colour, width = COLOURS[number % len(COLOURS)], WIDTH * share
        parts.append(f'<rect x="{x:.1f}" y="22" width="{width:.1f}" height="26" fill="{colour}"/>')
        if share > 0.08:
            parts.append(text(x + width / 2, 39, f"{share:.0%}", "middle", 12, "#fff"))
        parts.append(f'<circle cx="{6 + 105 * number}" cy="64" r="4" fill="{colour}"/>')
        parts.append(text(14 + 105 * number, 68, name))
        x += width
    return svg(WIDTH, 76, label, parts)


def thinned(points: Points) -> Points:
    """Every so many, and the last."""
    stride = max(1, math.ceil(len(points) / MAX_DRAWN_POINTS))
    return [*points[:-1:stride], *points[-1:]]


def ticks(low: float, high: float) -> list[float]:
    """Round numbers, evenly apart, from one below to one above."""
    apart = (high - low or 1.0) / MARKS
    size = 10 ** math.floor(math.log10(apart))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= apart)
    return [step * number for number in range(math.floor(low / step), math.ceil(high / step) + 1)]


def decades(low: float, high: float) -> list[float]:
    """Whole exponents, from one below to one above."""
    first, last = math.floor(low), max(math.ceil(high), math.floor(low) + 1)
    stride = math.ceil((last - first) / MARKS)
    return list(range(first, last + stride, stride))


@dataclass(frozen=True, slots=True)
class _Frame:
    across: Sequence[float]
    """What is marked, from end to end; `left` and `right` may lie within."""
    up: Sequence[float]
    left: float
    right: float
    log: bool

    @classmethod
    def around(cls, points: Points, log: bool) -> "_Frame":
        """A linear one begins at nothing."""
        xs, ys = [x for x, _ in points], [_scaled(y, log) for _, y in points]
        up = decades(min(ys), max(ys)) if log else ticks(min(0.0, *ys), max(0.0, *ys))
        return cls(ticks(min(xs), max(xs)), up, min(xs), max(xs), log)

    def axes(self, below: str) -> list[str]:
        parts = []
        for value in self.up:
            y = self._y(value)
            parts.append(
                f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" '
                'stroke="#e4e4e4"/>'
            )
            parts.append(text(LEFT - 6, y + 4, _format(10**value if self.log else value), "end"))
        for value in self.across:
            if self.left <= value <= self.right:
                parts.append(text(self._x(value), HEIGHT - BOTTOM + 16, _format(value), "middle"))
        parts.append(text(WIDTH - RIGHT, HEIGHT - 6, below, "end"))
        return parts

    def line(self, points: Points, colour: str) -> list[str]:
        placed = [(self._x(x), self._y(_scaled(y, self.log))) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        drawn = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
        dots = placed if len(placed) <= 30 else placed[-1:]
        return [drawn] + [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{colour}"/>' for x, y in dots
        ]

    def _x(self, value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * _share(value, self.left, self.right)

    def _y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * _share(value, self.up[0], self.up[-1])


def _drawable(points: Points, logarithmic: bool) -> Points:
    return [(x, y) for x, y in points if math.isfinite(x + y) and (y > 0 or not logarithmic)]


def _scaled(value: float, logarithmic: bool) -> float:
    return math.log10(value) if logarithmic else value


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _legend(name: str, number: int, colour: str) -> list[str]:
    x = LEFT + 200 + 100 * number
    return [f'<circle cx="{x}" cy="12" r="4" fill="{colour}"/>', text(x + 9, 16, name)]


def _format(value: float) -> str:
    if 0 < abs(value) < 0.01:
        return f"{value:.0e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
