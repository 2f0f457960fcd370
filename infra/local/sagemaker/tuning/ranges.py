"""Hyperparameter ranges as a tuning job gives them: strings, checked and understood."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from infra.local.sagemaker.core.store import Record

MOST = 30
"""Ranges of all kinds together."""

SPANS_DECADES = 100
"""From this ratio of its ends on, a range whose scale is left to us is searched by logarithm."""

INFINITE = float("inf")


@dataclass(frozen=True, slots=True)
class Numeric:
    low: float
    high: float
    scale: str
    """Linear, Logarithmic or ReverseLogarithmic."""
    whole: bool

    @property
    def combinations(self) -> float:
        return self.high - self.low + 1 if self.whole else INFINITE

    def text(self, value: float) -> str:
        return str(round(value)) if self.whole else repr(float(value))

    def holds(self, text: str) -> bool:
        try:
            return self.low <= float(text) <= self.high
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class Categorical:
    values: tuple[str, ...]

    @property
    def combinations(self) -> float:
        return len(self.values)

    def holds(self, text: str) -> bool:
        return text in self.values


Range = Numeric | Categorical
Ranges = Mapping[str, Range]


def parse(given: Record) -> Ranges:
    """From ParameterRanges. Raises ValueError with the sentence."""
    if given.get("AutoParameters"):
        raise ValueError("AutoParameters are not supported by the local SageMaker.")
    found: dict[str, Range] = {}
    for name, each in _each(given):
        if name in found:
            raise ValueError(f"Hyperparameter {name} is in more than one range.")
        found[name] = each
    if not found:
        raise ValueError("ParameterRanges must hold at least one hyperparameter range.")
    if len(found) > MOST:
        raise ValueError(f"There are {len(found)} hyperparameter ranges; at most {MOST} may be.")
    return found


def combinations(ranges: Ranges) -> float:
    return math.prod(each.combinations for each in ranges.values())


def _each(given: Record) -> Iterator[tuple[str, Range]]:
    for item in given.get("CategoricalParameterRanges", []):
        yield item["Name"], Categorical(tuple(dict.fromkeys(item["Values"])))
    for item in given.get("ContinuousParameterRanges", []):
        yield item["Name"], _numeric(item, whole=False)
    for item in given.get("IntegerParameterRanges", []):
        yield item["Name"], _numeric(item, whole=True)


def _numeric(item: Record, whole: bool) -> Numeric:
    name, scale = item["Name"], item.get("ScalingType", "Auto")
    low, high = (_number(name, item[end], whole) for end in ("MinValue", "MaxValue"))
    if low >= high:
        raise ValueError(
            f"The minimum value {item['MinValue']} of hyperparameter {name} must be less than its "
            f"maximum value {item['MaxValue']}."
        )
    if scale == "Auto":
        scale = "Logarithmic" if low > 0 and high / low >= SPANS_DECADES else "Linear"
    if scale == "Logarithmic" and low <= 0:
        raise ValueError(
            f"Logarithmic scaling of hyperparameter {name} needs values greater than 0."
        )
    if scale == "ReverseLogarithmic" and (whole or low < 0 or high >= 1):
        raise ValueError(
            f"ReverseLogarithmic scaling of hyperparameter {name} needs a continuous range with "
            "0 <= x < 1."
        )
    return Numeric(low, high, scale, whole)


def _number(name: str, text: str, whole: bool) -> float:
    kind = "an integer" if whole else "a number"
    try:
        number = float(int(text)) if whole else float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"Hyperparameter {name}: {text!r} is not {kind}.")
    return number
