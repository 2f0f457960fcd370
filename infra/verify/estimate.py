"""What an acceptance run uses on AWS and its maximum cost, computed before anything starts."""

from collections.abc import Sequence

from domain.errors import SortboxError
from infra.diagnostics.cost import Prices
from infra.verify.step import Step, Usage

MOST_DOLLARS = 3.0
"""A run that could cost more US dollars is refused."""

OTHER_DOLLARS = 0.05
"""The cost of a run's requests, storage, logs and functions; each is below a cent."""


class TooExpensiveError(SortboxError):
    """The run could cost more than the limit."""


def cost(prices: Prices, usage: Usage, instance_type: str, minutes: float) -> float:
    """The cost of a step that takes this many minutes, in US dollars."""
    build = prices.build_minute if usage.is_build else 0.0
    return minutes * (usage.machines * prices.hour(instance_type) / 60 + build)


def most(prices: Prices, steps: Sequence[Step], instance_type: str) -> float:
    """The cost if every step takes its maximum time. Raises TooExpensiveError."""
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
