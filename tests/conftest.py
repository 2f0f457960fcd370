"""What holds for every test."""

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from xdist.scheduler.protocol import Scheduling

# No deadline: how long an example takes is the machine's affair, and two cores may be busy.
# The same examples every time: a change is judged by what it changed. `random` looks for others.
settings.register_profile("sortbox", deadline=None, max_examples=60, derandomize=True)
settings.register_profile("random", deadline=None, max_examples=300)
settings.load_profile("sortbox")

SHARED = ("flow", "faults")
"""Folders whose tests share one deployed cloud: deploying takes longer than most of them."""


def scope_of(nodeid: str) -> str:
    """What stays in one process where tests run in several: a shared folder, or else a file."""
    path = PurePosixPath(nodeid.partition("::")[0])
    return next((folder for folder in SHARED if folder in path.parent.parts), str(path))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> "Scheduling":
    """By `scope_of`. The marks of `--dist loadgroup` reach nobody: pytest 9.2 ignores how
    pytest-xdist 3.8 writes a group into a test's id."""
    from xdist.scheduler import LoadScopeScheduling

    class ByScope(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            return scope_of(nodeid)

    return ByScope(config, log)
