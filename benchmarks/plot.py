"""What `make bench` found, as a picture: images a second by clients, a line a server."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from training.reports.charts import svg, text

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 400, 56, 250, 44, 48
COLOURS = ("#2f6fde", "#79a4ee", "#d9772b", "#1f7a4d", "#8a4fb8", "#c0392b")
APART = 17
"""Pixels between the names at the right, at least."""


def throughput(results: Mapping[str, Any], network: str) -> str:
    """Medians of the rounds, on logarithmic axes; dashed: what decode and network alone allow."""
    rows = results["rows"]
    lines = {name: _rates(rows, name) for name in dict.fromkeys(row["server"] for row in rows)}
    clients = sorted({row["clients"] for row in rows})
    limit = results["bare"]["combined_rate"] if "bare" in results else 0.0
    rates = [rate for line in lines.values() for rate in line.values()]
    scale = _Scale(clients, min(rates), max([*rates, limit]))
    parts = ['<rect width="100%" height="100%" fill="#fff"/>', *scale.axes()]
    parts.append(text(LEFT, 20, f"{network}: images a second", size=14, ink="#222"))
    if limit:
        parts.append(_across(scale.y(limit), 'stroke="#8a8f98" stroke-dasharray="5 4"'))
        parts.append(text(LEFT + 6, scale.y(limit) - 6, f"decode and network alone: {limit:.0f}"))
    for colour, line in zip(COLOURS, lines.values(), strict=False):
        parts.append(_line([(scale.x(at), scale.y(rate)) for at, rate in line.items()], colour))
    parts = ['<g font-family="sans-serif">', *parts, *_names(lines, scale), "</g>"]
    return svg(WIDTH, HEIGHT, f"images a second of {network}", parts)


def _rates(rows: Sequence[Mapping[str, Any]], server: str) -> dict[int, float]:
    results: dict[int, list[float]] = {}
    for row in rows:
        if row["server"] == server:
            results.setdefault(row["clients"], []).append(row["rate"])
    return {clients: statistics.median(results[clients]) for clients in sorted(results)}


class _Scale:
    def __init__(self, clients: Sequence[int], least: float, most: float) -> None:
        self._clients = clients
        self._low = least / 1.3
        self._high = most * 1.3

    def x(self, clients: int) -> float:
        first, last = math.log(self._clients[0]), math.log(self._clients[-1])
        share = (math.log(clients) - first) / ((last - first) or 1)
        return LEFT + 12 + (WIDTH - LEFT - RIGHT - 24) * share

    def y(self, rate: float) -> float:
        share = math.log(rate / self._low) / math.log(self._high / self._low)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    def axes(self) -> list[str]:
        parts = []
        steps = (digit * 10.0**power for power in range(5) for digit in (1, 2, 5))
        for rate in (step for step in steps if self._low <= step <= self._high):
            y = self.y(rate)
            parts.append(_across(y, 'stroke="#e4e4e4"'))
            parts.append(text(LEFT - 8, y + 4, f"{rate:g}", "end"))
        for clients in self._clients:
            parts.append(text(self.x(clients), HEIGHT - BOTTOM + 18, str(clients), "middle"))
        parts.append(text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "clients at once", "middle"))
        return parts


def _names(lines: Mapping[str, Mapping[int, float]], scale: _Scale) -> list[str]:
    """At the lines' right ends, pushed apart where they would overlap."""
    ends = sorted(
        (scale.y(list(line.values())[-1]), name, list(line.values())[-1], colour)
        for (name, line), colour in zip(lines.items(), COLOURS, strict=False)
    )
    parts, below = [], 0.0
    for y, name, rate, colour in ends:
        below = max(y, below + APART)
        parts.append(text(WIDTH - RIGHT + 10, below + 4, f"{name}: {rate:.1f}", ink=colour))
    return parts


def _across(y: float, stroke: str) -> str:
    return f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" {stroke}/>'


def _line(points: Sequence[tuple[float, float]], colour: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points
    )
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>{dots}'
