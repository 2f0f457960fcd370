"""How long a message waits before its next try."""

from collections.abc import Callable
from random import random

LONGEST_SECONDS = 90


def wait_seconds(base_seconds: int, receives: int, chance: Callable[[], float] = random) -> int:
    """Doubles with every receive (the first is 1) up to 90 s, and is spread over its upper half.

    So everything is tried again within a minute and a half of the end of any trouble. The waits
    between a queue's 500 receives add up to more than six hours, and to half a day at most.
    """
    doubled = min(LONGEST_SECONDS, base_seconds << min(receives - 1, 10))
    return max(1, round(doubled * (0.5 + chance() / 2)))
