"""Pictures as SVG text, escaped; nothing in them is fetched from anywhere."""

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray

from training.config.metrics import EpochMetrics

COLOURS = {"train": "#8a8f98", "validation": "#2f6fde", "test": "#d9772b"}
WIDTH, HEIGHT, MARGIN = 460, 240, 44
NUMBERED = 25
"""Classes: with more, a cell is too small for a number in it."""


def curves(history: Sequence[EpochMetrics], what: str) -> str:
    """`what`: loss or accuracy; a line a split."""
    splits = [split for split in COLOURS if f"{split}_{what}" in history[0]]
    values = [[epoch[f"{split}_{what}"] for epoch in history] for split in splits]
    top = 1.0 if what == "accuracy" else max(max(line) for line in values) or 1.0
    bottom = min(min(line) for line in values) if what == "accuracy" else 0.0
    bottom = np.floor(bottom * 10) / 10 if bottom < 1 else 0.9
    parts = [_axes(what, len(history), bottom, top)]
    for split, line in zip(splits, values, strict=True):
        points = [(_x(i, len(line)), _y(value, bottom, top)) for i, value in enumerate(line)]
        parts.append(_line(points, COLOURS[split]))
    parts += [_legend(split, number) for number, split in enumerate(splits)]
    return svg(WIDTH, HEIGHT, f"{what} by epoch", parts)


def reliability(bins: Sequence[tuple[int, float, float]]) -> str:
    """How often the model was right, by how sure it said it was."""
    size = 260
    inner = size - 2 * MARGIN
    most = max(count for count, _, _ in bins) or 1
    parts = [
        f'<line x1="{MARGIN}" y1="{size - MARGIN}" x2="{size - MARGIN}" y2="{MARGIN}" '
        'stroke="#bbb" stroke-dasharray="4 3"/>'
    ]
    for number, (count, _, accuracy) in enumerate(bins):
        x = MARGIN + inner * number / len(bins)
        height = inner * accuracy
        parts.append(
            f'<rect x="{x + 1:.1f}" y="{size - MARGIN - height:.1f}" '
            f'width="{inner / len(bins) - 2:.1f}" height="{height:.1f}" fill="#2f6fde" '
            f'opacity="{0.25 + 0.75 * count / most:.2f}"><title>{count} images, '
            f"{accuracy:.1%} right</title></rect>"
        )
    for share in (0.0, 0.5, 1.0):
        x, y = MARGIN + inner * share, size - MARGIN - inner * share
        parts.append(text(x, size - MARGIN + 16, f"{share:g}", "middle"))
        parts.append(text(MARGIN - 6, y + 4, f"{share:g}", "end"))
    parts.append(text(size / 2, size - 10, "confidence", "middle"))
    parts.append(text(MARGIN, MARGIN - 12, "accuracy"))
    return svg(size, size, "accuracy by confidence", parts)


def confusion(matrix: NDArray[np.int64], labels: Sequence[str]) -> str:
    """A row a true class; shaded by the share of that row. Only cells with images are drawn."""
    count = len(labels)
    cell = 30 if count <= NUMBERED else 16 if count <= 60 else 11
    font = min(12, cell - 1)
    margin = 14 + round(0.62 * font * min(28, max(map(len, labels))))
    size = margin + cell * count + 4
    parts = [
        f'<rect x="{margin}" y="{margin}" width="{cell * count}" height="{cell * count}" '
        'fill="none" stroke="#ccc"/>'
    ]
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    for row, column in np.argwhere(matrix):
        images, share = int(matrix[row, column]), float(shares[row, column])
        x, y = margin + cell * column, margin + cell * row
        colour = "#1f7a4d" if row == column else "#c0392b"
        parts.append(
            f'<rect x="{x}" y="{y}" width="{cell}" height="{cell}" fill="{colour}" '
            f'opacity="{0.12 + 0.88 * share:.2f}"><title>{escape(labels[row])} taken for '
            f"{escape(labels[column])}: {images} ({share:.0%})</title></rect>"
        )
        if count <= NUMBERED:
            ink = "#fff" if share > 0.45 else "#222"
            parts.append(text(x + cell / 2, y + cell / 2 + 4, str(images), "middle", 11, ink))
    for number, label in enumerate(labels):
        at = margin + cell * number + cell / 2 + font / 3
        short = label if len(label) <= 28 else f"{label[:27]}…"
        parts.append(text(margin - 5, at, short, "end", font))
        turned = f'transform="translate({at:.1f} {margin - 5}) rotate(-90)"'
        parts.append(f'<text {turned} font-size="{font}">{escape(short)}</text>')
    return svg(size, size, "confusion matrix", parts)


def _axes(what: str, epochs: int, bottom: float, top: float) -> str:
    parts = [text(MARGIN, 18, what)]
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        value = bottom + share * (top - bottom)
        y = _y(value, bottom, top)
        parts.append(
            f'<line x1="{MARGIN}" y1="{y:.1f}" x2="{WIDTH - 10}" y2="{y:.1f}" stroke="#e4e4e4"/>'
        )
        parts.append(text(MARGIN - 6, y + 4, f"{value:.2f}", "end"))
    for epoch in sorted({1, (epochs + 1) // 2, epochs}):
        parts.append(text(_x(epoch - 1, epochs), HEIGHT - MARGIN + 18, str(epoch), "middle"))
    parts.append(text(WIDTH - 10, HEIGHT - 8, "epoch", "end"))
    return "".join(parts)


def _line(points: Sequence[tuple[float, float]], colour: str) -> str:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    line = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    x, y = points[-1]
    return f'{line}<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>'


def _legend(split: str, number: int) -> str:
    x = 150 + 105 * number
    return f'<circle cx="{x}" cy="14" r="4" fill="{COLOURS[split]}"/>' + text(x + 9, 18, split)


def _x(index: int, count: int) -> float:
    inner = WIDTH - MARGIN - 10
    return MARGIN + inner * (index / (count - 1) if count > 1 else 0.5)


def _y(value: float, bottom: float, top: float) -> float:
    share = (value - bottom) / ((top - bottom) or 1)
    return HEIGHT - MARGIN - (HEIGHT - 2 * MARGIN + 10) * share


def text(
    x: float, y: float, words: str, anchor: str = "start", size: int = 12, ink: str = "#444"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{ink}">'
        f"{escape(words)}</text>"
    )


def svg(width: float, height: float, says: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(says)}">'
        f"{''.join(parts)}</svg>"
    )
