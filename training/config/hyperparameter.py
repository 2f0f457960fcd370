"""One hyperparameter: what it may be, how its text is read, and what a search may vary it over."""

import math
import re
from dataclasses import Field, dataclass, field
from typing import Any

from training.config.errors import TrainingFailed


def number(
    default: float, low: float, high: float, means: str, search: Any = None, basic: bool = False
) -> Any:
    """`search`: what tuning varies it over. `basic`: shown by `--help`; others are advanced."""
    rules = {"low": low, "high": high, "means": means, "search": search, "advanced": not basic}
    return field(default=default, metadata=rules)


def choice(default: str, choices: tuple[str, ...], means: str, basic: bool = False) -> Any:
    rules = {"choices": choices, "means": means, "advanced": not basic}
    return field(default=default, metadata=rules)


def text(default: str, pattern: str, means: str, basic: bool = False) -> Any:
    rules = {"pattern": pattern, "means": means, "advanced": not basic}
    return field(default=default, metadata=rules)


def flag(each: "Field[Any]") -> str:
    """Hyphens stand for underscores outside Python."""
    return each.name.replace("_", "-")


def parsed(each: "Field[Any]", given: str) -> Any:
    """Raises TrainingFailed for what it may not be."""
    rules = each.metadata
    if "choices" in rules:
        _require(given in rules["choices"], each, given, f"one of {', '.join(rules['choices'])}")
        return given
    if "pattern" in rules:
        fits = re.fullmatch(rules["pattern"], given) is not None
        _require(fits, each, given, f"of the form {rules['pattern']}")
        return given
    low, high = rules["low"], rules["high"]
    kind = "a whole number" if isinstance(each.default, int) and each.type is int else "a number"
    value = _as_number(given, kind)
    fits = value is not None and low <= value <= high
    _require(fits, each, given, f"{kind} from {low:g} to {high:g}")
    return value


def _as_number(given: str, kind: str) -> float | int | None:
    try:
        value = int(given) if kind == "a whole number" else float(given)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _require(fits: bool, each: "Field[Any]", given: str, wanted: str) -> None:
    if not fits:
        raise TrainingFailed(f"Hyperparameter {flag(each)} must be {wanted}, not {given[:60]!r}.")


@dataclass(frozen=True, slots=True)
class Continuous:
    low: float
    high: float
    scale: str
    """SageMaker's word: Linear or Logarithmic."""


@dataclass(frozen=True, slots=True)
class Categorical:
    values: tuple[str, ...]
