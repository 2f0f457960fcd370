"""What an acceptance run takes on AWS and costs at most, before anything starts."""

from collections.abc import Sequence

from domain.errors import SortboxError
from infra.diagnostics.cost import Prices
from infra.verify.step import Step, Usage

MOST_DOLLARS = 3.0
"""A run that could cost more is refused."""

OTHER_DOLLARS = 0.05
"""Requests, storage, logs and functions of one run; each is below a cent."""


class TooExpensiveError(SortboxError):
    """The run could cost more than it may."""


def cost(prices: Prices, usage: Usage, instance_type: str, minutes: float) -> float:
    """Of a step that takes so many minutes."""
    build = prices.build_minute if usage.is_build else 0.0
    return minutes * (usage.machines * prices.hour(instance_type) / 60 + build)


def most(prices: Prices, steps: Sequence[Step], instance_type: str) -> float:
    """Where every step takes as long as it may. Raises TooExpensiveError."""
    total = OTHER_DOLLARS + sum(
        cost(prices, step.usage, instance_type, step.usage.most_minutes) for step in steps
    )
    if total > MOST_DOLLARS:
        raise TooExpensiveError(
            f"This run could cost {prices.currency} {total:.2f}, and may cost {MOST_DOLLARS:.2f}: "
            f"nothing was started. The prices are of {prices.source}."
        )
    return total


def typical(prices: Prices, steps: Sequence[Step], instance_type: str) -> float:
    return OTHER_DOLLARS + sum(
        cost(prices, step.usage, instance_type, step.usage.minutes) for step in steps
    )


def minutes(steps: Sequence[Step]) -> float:
    return sum(step.usage.minutes for step in steps)
