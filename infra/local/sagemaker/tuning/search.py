"""Choose the next values to try, from earlier values and their scores alone.

The study is rebuilt for each trial, so that a search continues after a restart without a
difference. With 750 trials, AWS's limit, that takes some tenths of a second per trial.
"""

import itertools
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from infra.local.sagemaker.tuning import ranges as tuning_ranges
from infra.local.sagemaker.tuning.ranges import CategoricalRange, NumericRange, Range, Ranges
from infra.local.sagemaker.tuning.request import TuningJobRequest

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

RANDOM_TRIALS = 4
"""The number of random trials before the sampler's model is used."""

ENUMERABLE_COMBINATIONS = 10_000
"""Up to this number of combinations, all are enumerated if random sampling keeps repeating earlier
ones."""

SAMPLING_ATTEMPTS = 20

Values = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ScoredValues:
    values: Values
    score: float | None
    """None while the trial runs, and if it has no score at its end."""


def next_values(
    request: TuningJobRequest,
    tried: Sequence[ScoredValues],
    seed: int,
    parents: Sequence[ScoredValues],
) -> Values:
    """The values of the next trial. `parents` are the values tried by the parents of a warm
    start.
    """
    if request.strategy == "Grid":
        return _first_untried(request.ranges, tried)
    for attempt in range(SAMPLING_ATTEMPTS):
        attempt_seed = zlib.crc32(f"{seed} {len(tried)} {attempt}".encode())
        values = _sample(request, [*parents, *tried], attempt_seed)
        if values not in [scored.values for scored in tried]:
            return values
    if tuning_ranges.combinations(request.ranges) > ENUMERABLE_COMBINATIONS:
        return values
    return _first_untried(request.ranges, tried)


def _first_untried(ranges: Ranges, tried: Sequence[ScoredValues]) -> Values:
    old = [item.values for item in tried]
    choices = [_choices(item) for item in ranges.values()]
    every = (dict(zip(ranges, values, strict=True)) for values in itertools.product(*choices))
    return next(values for values in every if values not in old)


def _choices(range_: Range) -> Sequence[str]:
    if isinstance(range_, CategoricalRange):
        return range_.values
    return [range_.text(number) for number in range(round(range_.low), round(range_.high) + 1)]


def _sample(request: TuningJobRequest, tried: Sequence[ScoredValues], seed: int) -> Values:
    import optuna  # takes half a second, and most servers never tune

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler: optuna.samplers.BaseSampler = optuna.samplers.TPESampler(
        seed=seed, n_startup_trials=RANDOM_TRIALS
    )
    if request.strategy == "Random":
        sampler = optuna.samplers.RandomSampler(seed=seed)
    study = optuna.create_study(
        sampler=sampler, direction="maximize" if request.maximizes else "minimize"
    )
    space = {name: _distribution(range_) for name, range_ in request.ranges.items()}
    study.add_trials(_scored_trials(request.ranges, space, tried))
    raw = study.ask(space).params
    return {name: _text(range_, raw[name]) for name, range_ in request.ranges.items()}


def _scored_trials(
    ranges: Ranges, space: "Mapping[str, BaseDistribution]", tried: Sequence[ScoredValues]
) -> "list[FrozenTrial]":
    """The trials with a score whose values are within the current ranges; a parent's may be
    outside.
    """
    from optuna.trial import create_trial

    return [
        create_trial(
            params={name: _raw(range_, scored.values[name]) for name, range_ in ranges.items()},
            distributions=dict(space),
            value=scored.score,
        )
        for scored in tried
        if scored.score is not None
        if all(
            name in scored.values and range_.holds(scored.values[name])
            for name, range_ in ranges.items()
        )
    ]


def _distribution(range_: Range) -> "BaseDistribution":
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    match range_:
        case CategoricalRange(values):
            return CategoricalDistribution(values)
        case NumericRange(whole=True):
            return IntDistribution(
                round(range_.low), round(range_.high), log=range_.scale == "Logarithmic"
            )
        case NumericRange(scale="ReverseLogarithmic"):
            return FloatDistribution(1 - range_.high, 1 - range_.low, log=True)
        case NumericRange():
            return FloatDistribution(range_.low, range_.high, log=range_.scale == "Logarithmic")


def _text(range_: Range, raw: Any) -> str:
    match range_:
        case CategoricalRange():
            return str(raw)
        case NumericRange(scale="ReverseLogarithmic"):
            return range_.text(1 - raw)
        case NumericRange():
            return range_.text(raw)


def _raw(range_: Range, text: str) -> Any:
    match range_:
        case CategoricalRange():
            return text
        case NumericRange(scale="ReverseLogarithmic"):
            return 1 - float(text)
        case NumericRange(whole=True):
            return round(float(text))
        case NumericRange():
            return min(range_.high, max(range_.low, float(text)))
