"""What a search may vary a hyperparameter over."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Continuous:
    low: float
    high: float
    scale: str
    """SageMaker's word: Linear or Logarithmic."""


@dataclass(frozen=True, slots=True)
class Categorical:
    values: tuple[str, ...]
