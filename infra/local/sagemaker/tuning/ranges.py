"""ParameterRanges of a tuning job: parse and validate."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from infra.local.sagemaker.core.store import Record

MAX_RANGES = 30
"""The limit for ranges of all kinds together."""

LOGARITHMIC_RATIO = 100
"""Ranges with automatic scale are searched logarithmically from this ratio of their ends."""

INFINITE = float("inf")


@dataclass(frozen=True, slots=True)
class NumericRange:
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
class CategoricalRange:
    values: tuple[str, ...]

    @property
    def combinations(self) -> float:
        return len(self.values)

    def holds(self, text: str) -> bool:
        return text in self.values


Range = NumericRange | CategoricalRange
Ranges = Mapping[str, Range]


def parse(definition: Record) -> Ranges:
    """Parse ParameterRanges. Raises ValueError with a message."""
    if definition.get("AutoParameters"):
        raise ValueError("AutoParameters are not supported by the local SageMaker.")
    ranges: dict[str, Range] = {}
    for name, parsed in _parse_ranges(definition):
        if name in ranges:
            raise ValueError(f"Hyperparameter {name} is in more than one range.")
        ranges[name] = parsed
    if not ranges:
        raise ValueError("ParameterRanges must hold at least one hyperparameter range.")
    if len(ranges) > MAX_RANGES:
        raise ValueError(
            f"There are {len(ranges)} hyperparameter ranges; at most {MAX_RANGES} may be."
        )
    return ranges


def combinations(ranges: Ranges) -> float:
    return math.prod(range_.combinations for range_ in ranges.values())


def _parse_ranges(definition: Record) -> Iterator[tuple[str, Range]]:
    for item in definition.get("CategoricalParameterRanges", []):
        yield item["Name"], CategoricalRange(tuple(dict.fromkeys(item["Values"])))
    for item in definition.get("ContinuousParameterRanges", []):
        yield item["Name"], _numeric_range(item, whole=False)
    for item in definition.get("IntegerParameterRanges", []):
        yield item["Name"], _numeric_range(item, whole=True)


def _numeric_range(item: Record, whole: bool) -> NumericRange:
    name, scale = item["Name"], item.get("ScalingType", "Auto")
    low, high = (_number(name, item[end], whole) for end in ("MinValue", "MaxValue"))
    if low >= high:
        raise ValueError(
            f"The minimum value {item['MinValue']} of hyperparameter {name} must be less than its "
            f"maximum value {item['MaxValue']}."
        )
    if scale == "Auto":
        scale = "Logarithmic" if low > 0 and high / low >= LOGARITHMIC_RATIO else "Linear"
    if scale == "Logarithmic" and low <= 0:
        raise ValueError(
            f"Logarithmic scaling of hyperparameter {name} needs values greater than 0."
        )
    if scale == "ReverseLogarithmic" and (whole or low < 0 or high >= 1):
        raise ValueError(
            f"ReverseLogarithmic scaling of hyperparameter {name} needs a continuous range with "
            "0 <= x < 1."
        )
    return NumericRange(low, high, scale, whole)


def _number(name: str, text: str, whole: bool) -> float:
    kind = "an integer" if whole else "a number"
    try:
        number = float(int(text)) if whole else float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"Hyperparameter {name}: {text!r} is not {kind}.")
    return number
