"""Waiting for what another process does."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 120.0


def until(seen: Callable[[], Any]) -> Any:
    """Ask again until the answer is true, as every client of SageMaker must."""
    end = time.monotonic() + PATIENCE
    while not (answer := seen()):
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)
    return answer
