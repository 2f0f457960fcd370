"""trials.html: a search in one page that opens without a network."""

import math
from collections.abc import Sequence

from pages import charts
from pages.charts import Axis, Frame, PlottedSeries
from pages.render import render
from training.config import search_space, trials
from training.config.hyperparameter import Categorical, Continuous
from training.config.trials import Trial

FILE = "trials.html"
STYLES = {"best": "good thick", "stopped or failed": "bad faint", "other": "c0 faint"}


def html(name: str, objective: str, space: str, every: Sequence[Trial]) -> str:
    ranges, best = search_space.parse_space(space), trials.best(every, objective)
    edges = search_space.edge_warnings(ranges, best.values) if best else []
    scored = [trial for trial in every if trial.score is not None]
    return render(
        "training/search.html.jinja",
        title=f"Search: {name}",
        sentences=[f"{len(every)} trials over {space}, by {objective}.", *edges],
        heads=("trial", *ranges, objective, "state", "epochs", ""),
        figures=(*range(1, len(ranges) + 2), len(ranges) + 3),
        rows=[_row(number, trial, ranges, best) for number, trial in enumerate(every, 1)],
        scatters=[
            _scatter(_best_last(scored, best), hyperparameter, dimension, objective, best)
            for hyperparameter, dimension in ranges.items()
            if scored
        ],
        curves=_curves(_best_last(every, best), objective, best),
    )


def _row(
    number: int, trial: Trial, ranges: search_space.Space, best: Trial | None
) -> tuple[str, ...]:
    return (
        f"{number}{' ★' if trial is best else ''}",
        *(trials.shorten(trial.values[name]) for name in ranges),
        "" if trial.score is None else f"{trial.score:.4f}",
        trial.state,
        str(len(trial.curves)),
        trial.failure or (trial.name if trial.name != str(number) else ""),
    )


def _best_last(every: Sequence[Trial], best: Trial | None) -> list[Trial]:
    """So that nothing is drawn over the best."""
    return sorted(every, key=lambda trial: trial is best)


def _scatter(
    scored: Sequence[Trial],
    name: str,
    dimension: Continuous | Categorical,
    objective: str,
    best: Trial | None,
) -> object:
    series = []
    for trial in scored:
        score = trial.score or 0.0
        point = (search_space.position(dimension, trial.values[name]), score)
        kind, hover = _kind(trial, best), f"{trial.values[name]}: {score:.4f}"
        series.append(PlottedSeries([point], STYLES[kind], kind, line=False, hover=[hover]))
    frame = Frame(
        Axis(-0.04, 1.04, search_space.ticks(dimension)),
        charts.upward([trial.score or 0.0 for trial in scored]),
    )
    return charts.plot(objective, name, frame, series)


def _curves(every: Sequence[Trial], objective: str, best: Trial | None) -> object:
    series = []
    for trial in every:
        points = [
            (float(number), float(epoch[objective]))
            for number, epoch in enumerate(trial.curves, 1)
            if objective in epoch
        ]
        if points and all(math.isfinite(value) for _, value in points):
            kind = _kind(trial, best)
            series.append(PlottedSeries(points, STYLES[kind], kind, dots=False))
    if not series:
        return ""
    xs, ys = zip(*(point for line in series for point in line.points), strict=True)
    return charts.plot(objective, "epoch", Frame(charts.across(xs), charts.upward(ys)), series)


def _kind(trial: Trial, best: Trial | None) -> str:
    if trial is best:
        return "best"
    return "stopped or failed" if trial.state in ("Stopped", "Failed") else "other"
