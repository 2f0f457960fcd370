"""The ranges that a search covers: parsed from text, formatted as text, and sampled.

`lr=0.001:0.1` is a range, `batch-size=32,64,128` a choice. A whole space is one text, so that it
fits into a hyperparameter.
"""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from random import Random

from training.config import train_config as config
from training.config.errors import TrainingFailed
from training.config.hyperparameter import Categorical, Continuous, flag
from training.config.train_config import MACHINERY, TrainConfig

NUMERIC = {flag(spec): spec for spec in fields(TrainConfig) if "low" in spec.metadata}
CHOICES = {flag(spec) for spec in fields(TrainConfig) if "choices" in spec.metadata}
OF_THE_SEARCH = MACHINERY | {"trials", "objective"}
"""What decides how a search runs, and no model."""

HEAD_PARAMETERS = (
    "batch-size",
    "class-weights",
    "clip",
    "ema",
    "epochs",
    "label-smoothing",
    "lr",
    "momentum",
    "optimizer",
    "patience",
    "warmup",
    "weight-decay",
)
"""Parameters that may differ between heads with shared features, initial weights and batches."""

Space = Mapping[str, Continuous | Categorical]
Values = Mapping[str, str]

LOGARITHMIC_FROM_RATIO = 100
"""From this ratio of its ends on, a range is searched on a logarithmic scale."""

EDGE_SHARE = 0.1
"""Share of a range, in its own scale, that counts as its edge."""

WIDEN_FACTOR = 10
"""How far the suggested range extends beyond an edge: a factor, or a multiple of the span."""


@dataclass(frozen=True, slots=True)
class SplitParameters:
    """Hyperparameters from the command line, split into fixed values and ranges."""

    fixed: dict[str, str]
    space: dict[str, Continuous | Categorical]


def split_ranges(words: Mapping[str, str]) -> SplitParameters:
    """Raises TrainingFailed for an invalid range."""
    ranges = {name: parse_range(name, text) for name, text in words.items()}
    space = {name: dimension for name, dimension in ranges.items() if dimension is not None}
    return SplitParameters({name: text for name, text in words.items() if name not in space}, space)


def parse_range(name: str, text: str) -> Continuous | Categorical | None:
    """None for a single value. Raises TrainingFailed."""
    if name not in NUMERIC and name not in CHOICES:
        return None
    if name in OF_THE_SEARCH and re.search("[,:]", text):
        raise TrainingFailed(f"{name} is one value: a search does not vary it.")
    if "," in text:
        values = tuple(text.split(","))
        for value in values:
            TrainConfig.from_strings({name: value})
        return Categorical(values)
    low, colon, high = text.partition(":")
    return _range(name, low, high) if colon else None


def _range(name: str, low: str, high: str) -> Continuous:
    for end in (low, high):
        TrainConfig.from_strings({name: end})
    if name not in NUMERIC:
        raise TrainingFailed(f"{name} is not a number: write its values as {low},{high}.")
    ends = float(low), float(high)
    if ends[0] >= ends[1]:
        raise TrainingFailed(f"The range of {name} must be ascending, and {low}:{high} is not.")
    usual = config.search_space().get(name)
    if isinstance(usual, Continuous):
        return Continuous(*ends, usual.scale)
    wide = ends[0] > 0 and ends[1] / ends[0] >= LOGARITHMIC_FROM_RATIO
    return Continuous(*ends, "Logarithmic" if wide else "Linear")


def format_space(space: Space) -> str:
    """The text of the hyperparameter `search`."""
    return " ".join(f"{name}={_format_range(dimension)}" for name, dimension in space.items())


def parse_space(text: str) -> Space:
    """The inverse of `format_space`. Raises TrainingFailed for anything but ranges."""
    pairs = dict(word.split("=", 1) for word in text.split())
    split = split_ranges(pairs)
    TrainConfig.from_strings(split.fixed)  # an unknown name has an error of its own
    if split.fixed:
        raise TrainingFailed(
            f"Hyperparameter search must hold ranges (lr=0.001:0.1) and choices "
            f"(batch-size=32,64), and {next(iter(split.fixed))} is neither."
        )
    return split.space


def _format_range(dimension: Continuous | Categorical) -> str:
    if isinstance(dimension, Categorical):
        return ",".join(dimension.values)
    return f"{dimension.low:g}:{dimension.high:g}"


def check_in_process(config: TrainConfig) -> None:
    """Raises TrainingFailed for a search that cannot run within one training job."""
    if config.unfreeze != "head":
        raise TrainingFailed(
            "A search within one job uses features that are computed once: it needs "
            f"unfreeze=head, not {config.unfreeze}."
        )
    others = sorted(set(parse_space(config.search)) - set(HEAD_PARAMETERS))
    if others:
        raise TrainingFailed(
            f"Hyperparameter {others[0]} cannot be searched within one job, because features or "
            f"batches depend on it. These can: {', '.join(HEAD_PARAMETERS)}."
        )


def spread_points(space: Space, count: int, seed: int) -> list[Values]:
    """`count` points that cover the space: each range in even steps from end to end, each choice
    equally often, combined at random.
    """
    rng = Random(f"spread {seed}")
    columns = {}
    for number, (name, dimension) in enumerate(space.items()):
        column = _column(name, dimension, count)
        if number:
            rng.shuffle(column)
        columns[name] = column
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _column(name: str, dimension: Continuous | Categorical, count: int) -> list[str]:
    if isinstance(dimension, Categorical):
        return list(itertools.islice(itertools.cycle(dimension.values), count))
    steps = [step / (count - 1) if count > 1 else 0.5 for step in range(count)]
    return [_format_number(name, _value_at(dimension, share)) for share in steps]


def is_integer(name: str) -> bool:
    return NUMERIC[name].type is int


def _format_number(name: str, value: float) -> str:
    return str(round(value)) if is_integer(name) else f"{value:.6g}"


def _value_at(dimension: Continuous, share: float) -> float:
    if dimension.scale == "Logarithmic":
        return float(dimension.low * (dimension.high / dimension.low) ** share)
    return dimension.low + (dimension.high - dimension.low) * share


def position(dimension: Continuous | Categorical, text: str) -> float:
    """The position of a value in its range, from 0 to 1 on the range's own scale."""
    if isinstance(dimension, Categorical):
        return dimension.values.index(text) / max(1, len(dimension.values) - 1)
    return _share(dimension, float(text))


def ticks(dimension: Continuous | Categorical) -> list[tuple[float, str]]:
    """Positions and labels for an axis."""
    if isinstance(dimension, Categorical):
        return [(position(dimension, value), value) for value in dimension.values]
    return [(share, f"{_value_at(dimension, share):.3g}") for share in (0.0, 0.5, 1.0)]


def _share(dimension: Continuous, value: float) -> float:
    if dimension.scale == "Logarithmic":
        return math.log(value / dimension.low) / math.log(dimension.high / dimension.low)
    return (value - dimension.low) / (dimension.high - dimension.low)


def edge_warnings(space: Space, best: Values) -> list[str]:
    """A sentence per range whose best value lies at its edge, with the range to search next."""
    return [
        sentence
        for name, dimension in space.items()
        if isinstance(dimension, Continuous)
        for sentence in _edge_warning(name, dimension, float(best[name]))
    ]


def _edge_warning(name: str, dimension: Continuous, best: float) -> Sequence[str]:
    share = _share(dimension, best)
    if EDGE_SHARE < share < 1 - EDGE_SHARE:
        return ()
    low, high = _widen(dimension, share <= EDGE_SHARE)
    limits = NUMERIC[name].metadata
    low, high = max(low, limits["low"]), min(high, limits["high"])
    if (low, high) == (dimension.low, dimension.high):
        return ()
    edge = "lower" if share <= EDGE_SHARE else "upper"
    return (
        f"The best {name}, {best:.4g}, lies at the {edge} edge of its range, {dimension.low:g} to "
        f"{dimension.high:g}: a better value may lie beyond it. Search again with "
        f"--{name} {low:g}:{high:g}.",
    )


def _widen(dimension: Continuous, below: bool) -> tuple[float, float]:
    if dimension.scale == "Logarithmic":
        return (
            (dimension.low / WIDEN_FACTOR, dimension.high)
            if below
            else (dimension.low, dimension.high * WIDEN_FACTOR)
        )
    span = dimension.high - dimension.low
    return (
        (dimension.low - span, dimension.high) if below else (dimension.low, dimension.high + span)
    )
