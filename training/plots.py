"""Lines over steps or seconds as SVG text, escaped; nothing in them is fetched from anywhere."""

import math
from collections.abc import Mapping, Sequence

from training.charts import svg, text

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 620, 240, 62, 12, 34, 38
COLOURS = ("#2f6fde", "#d9772b", "#1f7a4d", "#8a4fb8", "#c0392b", "#8a8f98")
DRAWN = 600
"""Points of a line: more are not seen, and make the file large."""

Points = Sequence[tuple[float, float]]


def lines(series: Mapping[str, Points], title: str, below: str, logarithmic: bool = False) -> str:
    """Nothing, where there is nothing to draw."""
    drawn = {name: thinned(_drawable(points, logarithmic)) for name, points in series.items()}
    every = [point for points in drawn.values() for point in points]
    if not every:
        return ""
    xs, ys = [x for x, _ in every], [_scaled(y, logarithmic) for _, y in every]
    low, high = (math.floor(min(ys)), math.ceil(max(ys))) if logarithmic else (0.0, max(ys) or 1.0)
    frame = _Frame(min(xs), max(xs), min(low, min(ys)), max(high, low + 1e-12), logarithmic)
    parts = [text(LEFT, 16, title), *frame.axes(below)]
    for number, (name, points) in enumerate(drawn.items()):
        colour = COLOURS[number % len(COLOURS)]
        parts += [*frame.line(points, colour), *_legend(name, number, colour)]
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
    stride = max(1, math.ceil(len(points) / DRAWN))
    return [*points[:-1:stride], *points[-1:]]


class _Frame:
    def __init__(self, left: float, right: float, low: float, high: float, log: bool) -> None:
        self._left, self._right, self._low, self._high = left, right, low, high
        self._log = log

    def axes(self, below: str) -> list[str]:
        parts = []
        for share in (0.0, 0.25, 0.5, 0.75, 1.0):
            value = self._low + share * (self._high - self._low)
            y = HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share
            parts.append(
                f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" '
                'stroke="#e4e4e4"/>'
            )
            parts.append(text(LEFT - 6, y + 4, _told(10**value if self._log else value), "end"))
        for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
            x = LEFT + (WIDTH - LEFT - RIGHT) * share
            told = _told(self._left + share * (self._right - self._left))
            parts.append(text(x, HEIGHT - BOTTOM + 16, told, anchor))
        parts.append(text(WIDTH - RIGHT, HEIGHT - 6, below, "end"))
        return parts

    def line(self, points: Points, colour: str) -> list[str]:
        placed = [(self._x(x), self._y(_scaled(y, self._log))) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        drawn = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
        dots = placed if len(placed) <= 30 else placed[-1:]
        return [drawn] + [
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.6" fill="{colour}"/>' for x, y in dots
        ]

    def _x(self, value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * _share(value, self._left, self._right)

    def _y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * _share(value, self._low, self._high)


def _drawable(points: Points, logarithmic: bool) -> Points:
    return [(x, y) for x, y in points if math.isfinite(x + y) and (y > 0 or not logarithmic)]


def _scaled(value: float, logarithmic: bool) -> float:
    return math.log10(value) if logarithmic else value


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) if high > low else 0.5


def _legend(name: str, number: int, colour: str) -> list[str]:
    x = LEFT + 200 + 100 * number
    return [f'<circle cx="{x}" cy="12" r="4" fill="{colour}"/>', text(x + 9, 16, name)]


def _told(value: float) -> str:
    if 0 < abs(value) < 0.01:
        return f"{value:.0e}"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
