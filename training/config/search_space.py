"""What a search varies: ranges of hyperparameters, as people write them and as tuners want them.

`lr=0.001:0.1` is a range, `batch-size=32,64,128` a choice. One text holds a whole space, so that it
fits into a hyperparameter.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from random import Random

from training.config import train_config as config
from training.config.errors import TrainingFailed
from training.config.hyperparameter import Categorical, Continuous, flag
from training.config.train_config import TrainConfig

NUMBERS = {flag(each): each for each in fields(TrainConfig) if "low" in each.metadata}
CHOICES = {flag(each) for each in fields(TrainConfig) if "choices" in each.metadata}

OF_A_HEAD = (
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
"""What may differ between heads that share their features, their start and their chance."""

Space = Mapping[str, Continuous | Categorical]
Values = Mapping[str, str]

SPANS_DECADES = 100
"""From this ratio of its ends on, a range is searched by logarithm."""

EDGE = 0.1
"""Share of a range, in its own scale, that counts as its edge."""

BEYOND = 10
"""How far beyond an edge the next search should look, as a factor or in tenths of the span."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a person said, taken apart."""

    fixed: dict[str, str]
    space: dict[str, Continuous | Categorical]


def told(words: Mapping[str, str]) -> Told:
    """Ranges out of all hyperparameters. Raises TrainingFailed for ends that cannot be."""
    found = {name: parsed(name, text) for name, text in words.items()}
    space = {name: each for name, each in found.items() if each is not None}
    return Told({name: text for name, text in words.items() if name not in space}, space)


def parsed(name: str, text: str) -> Continuous | Categorical | None:
    """None for a single value. Raises TrainingFailed."""
    if name not in NUMBERS and name not in CHOICES:
        return None
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
    if name not in NUMBERS:
        raise TrainingFailed(f"{name} is no number: give its values as {low},{high}.")
    ends = float(low), float(high)
    if ends[0] >= ends[1]:
        raise TrainingFailed(f"The range of {name} must go up, and {low}:{high} does not.")
    usual = config.search_space().get(name)
    if isinstance(usual, Continuous):
        return Continuous(*ends, usual.scale)
    wide = ends[0] > 0 and ends[1] / ends[0] >= SPANS_DECADES
    return Continuous(*ends, "Logarithmic" if wide else "Linear")


def written(space: Space) -> str:
    """As the hyperparameter `search` holds it."""
    return " ".join(f"{name}={_text(each)}" for name, each in space.items())


def read(text: str) -> Space:
    """The inverse of `written`. Raises TrainingFailed for what is no range."""
    pairs = dict(word.split("=", 1) for word in text.split())
    found = told(pairs)
    TrainConfig.from_strings(found.fixed)  # what is unknown is told as such
    if found.fixed:
        raise TrainingFailed(
            f"Hyperparameter search must hold ranges (lr=0.001:0.1) and choices "
            f"(batch-size=32,64), and {next(iter(found.fixed))} is neither."
        )
    return found.space


def _text(each: Continuous | Categorical) -> str:
    if isinstance(each, Categorical):
        return ",".join(each.values)
    return f"{each.low:g}:{each.high:g}"


def check_one_job(config: TrainConfig) -> None:
    """Raises TrainingFailed for a search that cannot run within one training job."""
    if config.unfreeze != "head":
        raise TrainingFailed(
            "A search within one job is on features that are computed once: it needs "
            f"unfreeze=head, not {config.unfreeze}."
        )
    others = sorted(set(read(config.search)) - set(OF_A_HEAD))
    if others:
        raise TrainingFailed(
            f"Hyperparameter {others[0]} cannot be searched within one job, because features or "
            f"batches hang on it. These can: {', '.join(OF_A_HEAD)}."
        )


def spread(space: Space, count: int, seed: int) -> list[Values]:
    """`count` places all over the space at once: each range from end to end in even steps, each
    choice as often as any other, and which goes with which left to chance.
    """
    chance = Random(f"spread {seed}")
    columns = {}
    for number, (name, each) in enumerate(space.items()):
        column = _column(name, each, count)
        if number:
            chance.shuffle(column)
        columns[name] = column
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _column(name: str, each: Continuous | Categorical, count: int) -> list[str]:
    if isinstance(each, Categorical):
        return list(itertools.islice(itertools.cycle(each.values), count))
    steps = [step / (count - 1) if count > 1 else 0.5 for step in range(count)]
    return [_number(name, _at(each, share)) for share in steps]


def is_whole(name: str) -> bool:
    return NUMBERS[name].type is int


def _number(name: str, value: float) -> str:
    return str(round(value)) if is_whole(name) else f"{value:.6g}"


def _at(each: Continuous, share: float) -> float:
    if each.scale == "Logarithmic":
        return float(each.low * (each.high / each.low) ** share)
    return each.low + (each.high - each.low) * share


def place(each: Continuous | Categorical, text: str) -> float:
    """Where a value lies in its range, from 0 to 1 in the range's own scale."""
    if isinstance(each, Categorical):
        return each.values.index(text) / max(1, len(each.values) - 1)
    return _share(each, float(text))


def ticks(each: Continuous | Categorical) -> list[tuple[float, str]]:
    """Places with their values, for an axis."""
    if isinstance(each, Categorical):
        return [(place(each, value), value) for value in each.values]
    return [(share, f"{_at(each, share):.3g}") for share in (0.0, 0.5, 1.0)]


def _share(each: Continuous, value: float) -> float:
    if each.scale == "Logarithmic":
        return math.log(value / each.low) / math.log(each.high / each.low)
    return (value - each.low) / (each.high - each.low)


def at_edges(space: Space, best: Values) -> list[str]:
    """A sentence for each range at whose edge the best value lies, with where to look next."""
    return [
        sentence
        for name, each in space.items()
        if isinstance(each, Continuous)
        for sentence in _at_edge(name, each, float(best[name]))
    ]


def _at_edge(name: str, each: Continuous, best: float) -> Sequence[str]:
    share = _share(each, best)
    if EDGE < share < 1 - EDGE:
        return ()
    low, high = _beyond(each, share <= EDGE)
    limits = NUMBERS[name].metadata
    low, high = max(low, limits["low"]), min(high, limits["high"])
    if (low, high) == (each.low, each.high):
        return ()
    edge = "lower" if share <= EDGE else "upper"
    return (
        f"The best {name}, {best:.4g}, lies at the {edge} edge of its range, {each.low:g} to "
        f"{each.high:g}: there may be a better one beyond it. Search again with "
        f"--{name} {low:g}:{high:g}.",
    )


def _beyond(each: Continuous, below: bool) -> tuple[float, float]:
    if each.scale == "Logarithmic":
        return (each.low / BEYOND, each.high) if below else (each.low, each.high * BEYOND)
    span = each.high - each.low
    return (each.low - span, each.high) if below else (each.low, each.high + span)
