"""Which values to try next: from what was tried and how good that was, and nothing else.

The study is made anew for each trial, so a search goes on after a restart as if there had been
none. With 750 trials, all that AWS allows, that takes some tenths of a second each.
"""

import itertools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.local.sagemaker.tuning import ranges as tuning_ranges
from infra.local.sagemaker.tuning.ranges import Categorical, Numeric, Range, Ranges
from infra.local.sagemaker.tuning.request import TuningPlan

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

STARTUP = 4
"""Trials at random before the model of what is good says where to look."""

LISTED = 10_000
"""Combinations that are gone through one by one when chance keeps finding old ones."""

TRIES = 20

Values = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Tried:
    values: Values
    score: float | None
    """None while it runs, and where it came to nothing."""


def next_values(
    plan: TuningPlan, tried: Sequence[Tried], seed: int, before: Sequence[Tried]
) -> Values:
    """`before`: what parents of a warm start have tried."""
    if plan.strategy == "Grid":
        return _first_untried(plan.ranges, tried)
    for attempt in range(TRIES):
        chance = zlib.crc32(f"{seed} {len(tried)} {attempt}".encode())
        values = _asked(plan, [*before, *tried], chance)
        if values not in [each.values for each in tried]:
            return values
    if tuning_ranges.combinations(plan.ranges) > LISTED:
        return values
    return _first_untried(plan.ranges, tried)


def _first_untried(ranges: Ranges, tried: Sequence[Tried]) -> Values:
    old = [each.values for each in tried]
    choices = [_choices(each) for each in ranges.values()]
    every = (dict(zip(ranges, values, strict=True)) for values in itertools.product(*choices))
    return next(values for values in every if values not in old)


def _choices(each: Range) -> Sequence[str]:
    if isinstance(each, Categorical):
        return each.values
    return [each.text(number) for number in range(round(each.low), round(each.high) + 1)]


def _asked(plan: TuningPlan, tried: Sequence[Tried], seed: int) -> Values:
    import optuna  # half a second, and most servers never tune

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler: optuna.samplers.BaseSampler = optuna.samplers.TPESampler(
        seed=seed, n_startup_trials=STARTUP
    )
    if plan.strategy == "Random":
        sampler = optuna.samplers.RandomSampler(seed=seed)
    study = optuna.create_study(
        sampler=sampler, direction="maximize" if plan.maximizes else "minimize"
    )
    space = {name: _distribution(each) for name, each in plan.ranges.items()}
    study.add_trials(_known(plan.ranges, space, tried))
    raw = study.ask(space).params
    return {name: _text(each, raw[name]) for name, each in plan.ranges.items()}


def _known(
    ranges: Ranges, space: "Mapping[str, BaseDistribution]", tried: Sequence[Tried]
) -> "list[FrozenTrial]":
    """What has a score and lies in the ranges as they are now; a parent's may not."""
    from optuna.trial import create_trial

    return [
        create_trial(
            params={name: _raw(each, one.values[name]) for name, each in ranges.items()},
            distributions=dict(space),
            value=one.score,
        )
        for one in tried
        if one.score is not None
        if all(name in one.values and each.holds(one.values[name]) for name, each in ranges.items())
    ]


def _distribution(each: Range) -> "BaseDistribution":
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    match each:
        case Categorical(values):
            return CategoricalDistribution(values)
        case Numeric(whole=True):
            return IntDistribution(
                round(each.low), round(each.high), log=each.scale == "Logarithmic"
            )
        case Numeric(scale="ReverseLogarithmic"):
            return FloatDistribution(1 - each.high, 1 - each.low, log=True)
        case Numeric():
            return FloatDistribution(each.low, each.high, log=each.scale == "Logarithmic")


def _text(each: Range, raw: Any) -> str:
    match each:
        case Categorical():
            return str(raw)
        case Numeric(scale="ReverseLogarithmic"):
            return each.text(1 - raw)
        case Numeric():
            return each.text(raw)


def _raw(each: Range, text: str) -> Any:
    match each:
        case Categorical():
            return text
        case Numeric(scale="ReverseLogarithmic"):
            return 1 - float(text)
        case Numeric(whole=True):
            return round(float(text))
        case Numeric():
            return min(each.high, max(each.low, float(text)))
