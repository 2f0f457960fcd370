"""What unit tests of several modules look at."""

from collections.abc import Iterator
from typing import Any

import pytest

from functions import runtime


@pytest.fixture
def counted() -> Iterator[dict[str, Any]]:
    """The metrics that are counted, by name."""
    runtime.metrics.clear_metrics()
    yield runtime.metrics.provider.metric_set
    runtime.metrics.clear_metrics()
