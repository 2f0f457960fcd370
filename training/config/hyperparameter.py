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


def flag(spec: "Field[Any]") -> str:
    """Hyphens stand for underscores outside Python."""
    return spec.name.replace("_", "-")


def parse(spec: "Field[Any]", raw: str) -> Any:
    """Raises TrainingFailed for an invalid value."""
    rules = spec.metadata
    if "choices" in rules:
        _require(raw in rules["choices"], spec, raw, f"one of {', '.join(rules['choices'])}")
        return raw
    if "pattern" in rules:
        is_valid = re.fullmatch(rules["pattern"], raw) is not None
        _require(is_valid, spec, raw, f"of the form {rules['pattern']}")
        return raw
    low, high = rules["low"], rules["high"]
    kind = "a whole number" if isinstance(spec.default, int) and spec.type is int else "a number"
    is_share = kind == "a number" and high <= 1
    value = _as_number(raw.removesuffix("%"), kind) if is_share else _as_number(raw, kind)
    if is_share and value is not None and raw.endswith("%"):
        value /= 100
    is_valid = value is not None and low <= value <= high
    _require(is_valid, spec, raw, f"{kind} from {low:g} to {high:g}")
    return value


def _as_number(raw: str, kind: str) -> float | int | None:
    try:
        value = int(raw) if kind == "a whole number" else float(raw)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _require(is_valid: bool, spec: "Field[Any]", raw: str, expected: str) -> None:
    if not is_valid:
        raise TrainingFailed(f"Hyperparameter {flag(spec)} must be {expected}, not {raw[:60]!r}.")


@dataclass(frozen=True, slots=True)
class Continuous:
    low: float
    high: float
    scale: str
    """SageMaker's word: Linear or Logarithmic."""


@dataclass(frozen=True, slots=True)
class Categorical:
    values: tuple[str, ...]
