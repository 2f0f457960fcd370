"""What unit tests of several modules look at."""

from collections.abc import Iterator
from typing import Any

import pytest

from functions import runtime
from infra import interrupt


@pytest.fixture
def counted() -> Iterator[dict[str, Any]]:
    """The metrics that are counted, by name."""
    runtime.metrics.clear_metrics()
    yield runtime.metrics.provider.metric_set
    runtime.metrics.clear_metrics()


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """An interrupt leaves nothing, before and after the test."""
    interrupt._left.clear()
    yield
    interrupt._left.clear()
