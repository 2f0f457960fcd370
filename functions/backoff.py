"""How long a message waits before its next try."""

from collections.abc import Callable
from random import random

LONGEST_SECONDS = 900


def wait_seconds(base_seconds: int, receives: int, chance: Callable[[], float] = random) -> int:
    """Doubles with every receive (the first is 1) up to 900 s, and is spread over its upper half.

    The 19 waits between 20 receives add up to more than an hour even from a base of 1 s: an hour
    of trouble makes no dead letters.
    """
    doubled = min(LONGEST_SECONDS, base_seconds << min(receives - 1, 10))
    return max(1, round(doubled * (0.5 + chance() / 2)))
