"""trials.html: a search in one page that opens without a network."""

import math
from collections.abc import Sequence
from html import escape

from training.config import search_space, trials
from training.config.hyperparameter import Categorical, Continuous
from training.config.trials import Trial
from training.reports import page
from training.reports.charts import svg, text

FILE = "trials.html"
WIDTH, HEIGHT, MARGIN = 460, 260, 48
BEST, OTHER, STOPPED = "#1f7a4d", "#8aa9dd", "#d9a0a0"


def html(name: str, objective: str, space: str, every: Sequence[Trial]) -> str:
    ranges, best = search_space.parse_space(space), trials.best(every, objective)
    edges = search_space.edge_warnings(ranges, best.values) if best else []
    sentences = [f"{len(every)} trials over {space}, by {objective}.", *edges]
    note = "Each point is a trial, at the value it tried; the best is green."
    sections = [
        "".join(f'<div class="reading">{escape(sentence)}</div>' for sentence in sentences),
        page.section("Trials", _table(every, objective, list(ranges), best)),
        page.section("What was tried", _scatters(every, ranges, objective, best), note),
        page.section("Epoch by epoch", _curves(every, objective, best)),
    ]
    return page.document(f"Search: {escape(name)}", sections)


def _table(every: Sequence[Trial], objective: str, names: Sequence[str], best: Trial | None) -> str:
    heads = ("trial", *names, objective, "state", "epochs", "")
    rows = [
        [
            f"{number}{' ★' if trial is best else ''}",
            *(trials.shorten(trial.values[name]) for name in names),
            "" if trial.score is None else f"{trial.score:.4f}",
            trial.state,
            str(len(trial.curves)),
            trial.failure or (trial.name if trial.name != str(number) else ""),
        ]
        for number, trial in enumerate(every, 1)
    ]
    return page.table(heads, rows)


def _scatters(
    every: Sequence[Trial], ranges: search_space.Space, objective: str, best: Trial | None
) -> str:
    scored = [trial for trial in every if trial.score is not None]
    if not scored:
        return ""
    return "".join(
        _scatter(scored, name, dimension, objective, best) for name, dimension in ranges.items()
    )


def _scatter(
    scored: Sequence[Trial],
    name: str,
    dimension: Continuous | Categorical,
    objective: str,
    best: Trial | None,
) -> str:
    scores = [trial.score or 0.0 for trial in scored]
    low, high = _ends(scores)
    parts = _frame(objective, low, high)
    for trial, score in sorted(zip(scored, scores, strict=True), key=lambda pair: pair[0] is best):
        x, y = (
            _x(search_space.position(dimension, trial.values[name])),
            _y((score - low) / (high - low)),
        )
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{_colour(trial, best)}">'
            f"<title>{escape(trial.values[name])}: {score:.4f}</title></circle>"
        )
    for share, value in search_space.ticks(dimension):
        parts.append(text(_x(share), HEIGHT - MARGIN + 18, value, "middle"))
    parts.append(text(WIDTH - 10, HEIGHT - 8, name, "end"))
    return svg(WIDTH, HEIGHT, f"{objective} by {name}", parts)


def _curves(every: Sequence[Trial], objective: str, best: Trial | None) -> str:
    drawn = [trial for trial in every if trial.curves and objective in trial.curves[-1]]
    lines = [(trial, [float(epoch[objective]) for epoch in trial.curves]) for trial in drawn]
    lines = [(trial, line) for trial, line in lines if all(map(math.isfinite, line))]
    if not lines:
        return ""
    low, high = _ends([value for _, line in lines for value in line])
    epochs = max(len(line) for _, line in lines)
    parts = _frame(objective, low, high)
    for trial, line in sorted(lines, key=lambda pair: pair[0] is best):
        points = " ".join(
            f"{_x(number / max(1, epochs - 1)):.1f},{_y((value - low) / (high - low)):.1f}"
            for number, value in enumerate(line)
        )
        wide = 3 if trial is best else 1.5
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{_colour(trial, best)}" '
            f'stroke-width="{wide}"/>'
        )
    parts.append(text(_x(0), HEIGHT - MARGIN + 18, "1", "middle"))
    parts.append(text(_x(1), HEIGHT - MARGIN + 18, str(epochs), "middle"))
    parts.append(text(WIDTH - 10, HEIGHT - 8, "epoch", "end"))
    return svg(WIDTH, HEIGHT, f"{objective} by epoch", parts)


def _colour(trial: Trial, best: Trial | None) -> str:
    if trial is best:
        return BEST
    return STOPPED if trial.state in ("Stopped", "Failed") else OTHER


def _ends(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    pad = 0.06 * (high - low) or 0.01
    return low - pad, high + pad


def _frame(what: str, low: float, high: float) -> list[str]:
    parts = [text(MARGIN, 16, what)]
    for share in (0.0, 0.5, 1.0):
        y = _y(share)
        parts.append(
            f'<line x1="{MARGIN}" y1="{y:.1f}" x2="{WIDTH - 10}" y2="{y:.1f}" stroke="#e4e4e4"/>'
        )
        parts.append(text(MARGIN - 6, y + 4, f"{low + share * (high - low):.3f}", "end"))
    return parts


def _x(share: float) -> float:
    return MARGIN + 12 + (WIDTH - MARGIN - 34) * share


def _y(share: float) -> float:
    return HEIGHT - MARGIN - (HEIGHT - MARGIN - 28) * share
