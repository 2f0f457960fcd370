"""Request rates by operation, limited by token buckets.

AWS does not publish the rates of SageMaker's control plane; users see ThrottlingException ("Rate
exceeded") at some requests a second. The rates of an account are data in accounts.json.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from infra.local.sagemaker.core.errors import ThrottlingException

BURST_SECONDS = 5.0
"""The size of a bucket: unused requests of this many seconds may be used at once."""


@dataclass
class Rates:
    """`limits`: requests a second, by pattern of the operation; operations without a pattern are
    not limited.
    """

    limits: Mapping[str, float]
    clock: Callable[[], float] = time.monotonic
    _left: dict[str, tuple[float, float]] = field(default_factory=dict)

    def take(self, operation: str) -> None:
        """Count a request. Raises ThrottlingException."""
        rates = (rate for pattern, rate in self.limits.items() if fnmatchcase(operation, pattern))
        rate = next(rates, None)
        if rate is None:
            return
        burst, now = max(1.0, rate * BURST_SECONDS), self.clock()
        left, since = self._left.get(operation, (burst, now))
        left = min(burst, left + (now - since) * rate)
        if left < 1:
            self._left[operation] = left, now
            raise ThrottlingException("Rate exceeded")
        self._left[operation] = left - 1, now
