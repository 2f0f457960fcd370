"""Charts as inline SVG: geometry here, markup in chart.html.jinja, colours in chart.css.jinja."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pages.render import fragment

if TYPE_CHECKING:
    from markupsafe import Markup

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 500, 260, 56, 16, 36, 44
"""Pixels; a phone shows this width at three quarters, where 13 pixels of text can still be read."""

COLOURS = 6
SPLITS = {"train": "c5", "train, mean": "c2", "validation": "c0", "test": "c1"}
"""A split has the same colour in every chart."""

MAX_DRAWN_POINTS = 600
"""Points of a line: more are not seen, and make the file large."""

MAX_DOTS = 30
MARKS = 4
"""On an axis, beside the first."""

NUMBERED = 25
"""Classes: with more, a cell is too small for a number in it."""

LONGEST_LABEL = 28
PARTS_APART = 0.08

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Axis:
    """`low`, `high` and the marks are values; on a logarithmic axis all are above 0."""

    low: float
    high: float
    marks: Sequence[tuple[float, str]]
    logarithmic: bool = False

    def share(self, value: float) -> float:
        """The position of a value, from 0 to 1."""
        low, high, at = map(self._scaled, (self.low, self.high, value))
        return (at - low) / (high - low) if high > low else 0.5

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value


def across(values: Sequence[float]) -> Axis:
    """From the first value to the last, marked at round numbers; whole ones for whole values."""
    low, high = min(values), max(values)
    is_whole = all(float(value).is_integer() for value in values)
    marks = [at for at in _round_numbers(low, high) if low <= at <= high]
    whole = [at for at in marks if float(at).is_integer()]
    return Axis(low, high, [(at, format_value(at)) for at in (whole if is_whole else marks)])


def upward(values: Sequence[float]) -> Axis:
    """From a round number below the values to one above."""
    marks = _round_numbers(min(values), max(values))
    return Axis(marks[0], marks[-1], [(at, format_value(at)) for at in marks])


def decades(values: Sequence[float]) -> Axis:
    """Powers of ten, from one below the values to one above."""
    first = math.floor(math.log10(min(values)))
    last = max(math.ceil(math.log10(max(values))), first + 1)
    stride = math.ceil((last - first) / MARKS)
    marks = [10.0**power for power in range(first, last + stride, stride)]
    return Axis(marks[0], marks[-1], [(at, format_value(at)) for at in marks], logarithmic=True)


@dataclass(frozen=True, slots=True)
class PlottedSeries:
    points: Points
    colour: str
    """A class of chart.css.jinja; several may be named, with spaces."""
    name: str = ""
    """For the legend; "": not in it."""
    line: bool = True
    dots: bool = True
    """At every point of a short line, at the end of a long one."""
    hover: Sequence[str] = ()
    """A text a point."""


@dataclass(frozen=True, slots=True)
class Text:
    x: float
    y: float
    words: str
    anchor: str = "start"
    style: str = ""
    size: int = 13
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Box:
    x: float
    y: float
    width: float
    height: float
    style: str
    opacity: float = 1.0
    hover: str = ""


@dataclass(slots=True)
class Chart:
    """Shapes in pixels, drawn in this order."""

    title: str
    width: float = WIDTH
    height: float = HEIGHT
    boxes: list[Box] = field(default_factory=list)
    lines: list[tuple[str, str]] = field(default_factory=list)
    """Corners and style."""
    dots: list[tuple[float, float, str, str]] = field(default_factory=list)
    """x, y, style and hover."""
    texts: list[Text] = field(default_factory=list)
    legend: dict[str, str] = field(default_factory=dict)
    """Style by name."""

    def markup(self) -> "Markup":
        return fragment("chart.html.jinja", "chart", self)


@dataclass(frozen=True, slots=True)
class Frame:
    """Where values are in a chart."""

    x: Axis
    y: Axis
    width: float = WIDTH
    height: float = HEIGHT
    right: float = RIGHT

    def at(self, point: tuple[float, float]) -> tuple[float, float]:
        wide, high = self.width - LEFT - self.right, self.height - TOP - BOTTOM
        return (
            LEFT + wide * self.x.share(point[0]),
            self.height - BOTTOM - high * self.y.share(point[1]),
        )

    def level(self, value: float) -> Points:
        """From side to side."""
        y = self.at((self.x.low, value))[1]
        return [(LEFT, y), (self.width - self.right, y)]

    def chart(self, title: str, below: str) -> Chart:
        chart = Chart(title, self.width, self.height, texts=[Text(8, 18, title, style="title")])
        for value, words in self.y.marks:
            [(x, y), end] = self.level(value)
            chart.lines.append((corners([(x, y), end]), "grid"))
            chart.texts.append(Text(x - 7, y + 4, words, "end"))
        for value, words in self.x.marks:
            x, _ = self.at((value, self.y.low))
            chart.texts.append(Text(x, self.height - BOTTOM + 18, words, "middle"))
        middle = (LEFT + self.width - self.right) / 2
        chart.texts.append(Text(middle, self.height - 8, below, "middle"))
        return chart

    def draw(self, chart: Chart, series: PlottedSeries) -> None:
        points = [self.at(point) for point in series.points]
        if series.line:
            ends = points if len(points) > 1 else points * 2
            chart.lines.append((corners(ends), series.colour))
        if series.dots:
            shown = points if len(points) <= MAX_DOTS or not series.line else points[-1:]
            hover = series.hover or [""] * len(shown)
            chart.dots += [
                (x, y, series.colour, words) for (x, y), words in zip(shown, hover, strict=True)
            ]
        if series.name:
            chart.legend[series.name] = series.colour


def plot(title: str, below: str, frame: Frame, series: Iterable[PlottedSeries]) -> "Markup":
    chart = frame.chart(title, below)
    for one in series:
        frame.draw(chart, one)
    return chart.markup()


def lines(
    series: Mapping[str, Points],
    title: str,
    below: str,
    logarithmic: bool = False,
    from_zero: bool = True,
) -> "Markup | str":
    """A line a name, without values that are not finite; "" where nothing is left to draw."""
    drawn = {name: _drawable(points, logarithmic) for name, points in series.items()}
    drawn = {name: _thinned(points) for name, points in drawn.items() if points}
    if not drawn:
        return ""
    xs, ys = zip(*(point for points in drawn.values() for point in points), strict=True)
    up = decades(ys) if logarithmic else upward([*ys, 0.0] if from_zero else ys)
    several = len(drawn) > 1
    return plot(
        title,
        below,
        Frame(across(xs), up),
        [
            PlottedSeries(points, SPLITS.get(name, f"c{number % COLOURS}"), name if several else "")
            for number, (name, points) in enumerate(drawn.items())
        ],
    )


def parts(shares: Mapping[str, float], title: str) -> "Markup":
    """One bar in parts; `shares` of the whole."""
    chart = Chart(title, height=64, texts=[Text(8, 18, title, style="title")])
    x = 8.0
    for number, (name, share) in enumerate(shares.items()):
        width, style = (WIDTH - 16) * share, f"c{number % COLOURS}"
        chart.boxes.append(Box(x, 30, width, 26, style, hover=f"{name}: {share:.0%}"))
        if share > PARTS_APART:
            chart.texts.append(Text(x + width / 2, 47, f"{share:.0%}", "middle", "on"))
        chart.legend[name] = style
        x += width
    return chart.markup()


def reliability(bins: Sequence[tuple[int, float, float]]) -> "Markup":
    """How often the model was right, by its confidence: (images, confidence, accuracy) a bin."""
    ends = [(share, f"{share:g}") for share in (0.0, 0.5, 1.0)]
    frame = Frame(Axis(0, 1, ends), Axis(0, 1, ends), 320, 320)
    chart = frame.chart("accuracy", "confidence")
    most = max(count for count, _, _ in bins) or 1
    for number, (count, _, accuracy) in enumerate(bins):
        x, y = frame.at((number / len(bins), accuracy))
        right, bottom = frame.at(((number + 1) / len(bins), 0.0))
        opacity = 0.25 + 0.75 * count / most
        hover = f"{count} images, {accuracy:.1%} right"
        chart.boxes.append(Box(x + 1, y, right - x - 2, bottom - y, "c0", opacity, hover))
    chart.lines.append((corners([frame.at((0, 0)), frame.at((1, 1))]), "quiet dashed"))
    return replace(chart, title="accuracy by confidence").markup()


def confusion(matrix: Sequence[Sequence[int]], labels: Sequence[str]) -> "Markup":
    """A row a true class; shaded by the share of that row. Only cells with images are drawn."""
    count = len(labels)
    cell = 30 if count <= NUMBERED else 16 if count <= 60 else 11
    size = min(13, cell - 1)
    margin = 14 + round(0.62 * size * min(LONGEST_LABEL, max(map(len, labels))))
    whole = margin + cell * count + 4
    frame = Box(margin, margin, cell * count, cell * count, "frame")
    chart = Chart("confusion matrix", whole, whole, [frame])
    for row, counts in enumerate(matrix):
        for column, images in enumerate(counts):
            if not images:
                continue
            share = images / sum(counts)
            x, y = margin + cell * column, margin + cell * row
            style = "good" if row == column else "bad"
            hover = f"{labels[row]} taken for {labels[column]}: {images} ({share:.0%})"
            chart.boxes.append(Box(x, y, cell, cell, style, 0.12 + 0.88 * share, hover))
            if count <= NUMBERED:
                ink = "on" if share > 0.6 else "ink"
                chart.texts.append(Text(x + cell / 2, y + cell / 2 + 4, str(images), "middle", ink))
    for number, label in enumerate(labels):
        at = margin + cell * number + cell / 2 + size / 3
        short = label if len(label) <= LONGEST_LABEL else f"{label[: LONGEST_LABEL - 1]}…"
        chart.texts.append(Text(margin - 5, at, short, "end", size=size))
        chart.texts.append(Text(at, margin - 5, short, size=size, turned=True))
    return chart.markup()


def corners(points: Points) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def format_value(value: float) -> str:
    if 0 < abs(value) < 0.01:
        return f"{value:.0e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _drawable(points: Points, logarithmic: bool) -> Points:
    return [(x, y) for x, y in points if math.isfinite(x + y) and (y > 0 or not logarithmic)]


def _thinned(points: Points) -> Points:
    stride = max(1, math.ceil(len(points) / MAX_DRAWN_POINTS))
    return [*points[:-1:stride], *points[-1:]]


def _round_numbers(low: float, high: float) -> list[float]:
    """Evenly apart, from one below to one above."""
    apart = (high - low or 1.0) / MARKS
    size = 10 ** math.floor(math.log10(apart))
    step = next(size * factor for factor in (1, 2, 2.5, 5, 10) if size * factor >= apart)
    return [step * number for number in range(math.floor(low / step), math.ceil(high / step) + 1)]
