"""What `make bench` found, as a picture: images a second by clients, a line a server."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from pages.charts import COLOURS, LEFT, Axis, Frame, PlottedSeries, Text, corners
from pages.render import fragment

WIDTH, HEIGHT, RIGHT = 760, 400, 250
APART = 17
"""Pixels between the names at the right, at least."""


def throughput(results: Mapping[str, Any], network: str) -> str:
    """Medians of the rounds, on logarithmic axes; dashed: what decode and network alone allow."""
    rows = results["rows"]
    lines = {name: _rates(rows, name) for name in dict.fromkeys(row["server"] for row in rows)}
    limit = results["bare"]["combined_rate"] if "bare" in results else 0.0
    frame = _frame({row["clients"] for row in rows}, lines, limit)
    chart = frame.chart(f"{network}: images a second", "clients at once")
    if limit:
        level = frame.level(limit)
        chart.lines.append((corners(level), "quiet dashed"))
        words = f"decode and network alone: {limit:.0f}"
        chart.texts.append(Text(LEFT + 6, level[0][1] - 6, words))
    ends = []
    for number, (name, line) in enumerate(lines.items()):
        points, colour = list(line.items()), f"c{number % COLOURS}"
        frame.draw(chart, PlottedSeries(points, colour))
        ends.append((frame.at(points[-1])[1], f"{name}: {points[-1][1]:.1f}", f"{colour} own"))
    below = 0.0
    for y, words, style in sorted(ends):
        below = max(y, below + APART)
        chart.texts.append(Text(WIDTH - RIGHT + 12, below + 4, words, style=style))
    return fragment("chart.html.jinja", "file", chart)


def _rates(rows: Sequence[Mapping[str, Any]], server: str) -> dict[float, float]:
    results: dict[int, list[float]] = {}
    for row in rows:
        if row["server"] == server:
            results.setdefault(row["clients"], []).append(row["rate"])
    return {clients: statistics.median(results[clients]) for clients in sorted(results)}


def _frame(clients: set[int], lines: Mapping[str, Mapping[float, float]], limit: float) -> Frame:
    rates = [rate for line in lines.values() for rate in line.values()]
    low, high = min(rates) / 1.3, max([*rates, limit]) * 1.3
    steps = (digit * 10.0**power for power in range(5) for digit in (1, 2, 5))
    marks = [(step, f"{step:g}") for step in steps if low <= step <= high]
    first, last = min(clients), max(clients)
    across = [(count, str(count)) for count in sorted(clients)]
    room = math.pow(last / first, 0.03) if last > first else 1.0
    x = Axis(first / room, last * room, across, logarithmic=True)
    return Frame(x, Axis(low, high, marks, logarithmic=True), WIDTH, HEIGHT, RIGHT)
