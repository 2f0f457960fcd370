"""What holds for every test."""

import pytest
from hypothesis import settings

# No deadline: how long an example takes is the machine's affair, and two cores may be busy.
settings.register_profile("sortbox", deadline=None, max_examples=60)
settings.load_profile("sortbox")

SHARED = ("flow", "faults")
"""Rooms whose tests share one deployed cloud: it takes longer to deploy than most of them take."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run in several processes: a room, or else a file, stays in one."""
    for item in items:
        room = item.path.parent.name
        item.add_marker(pytest.mark.xdist_group(room if room in SHARED else item.path.stem))
