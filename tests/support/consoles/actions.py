"""Actions of a console in tests: what they run without a cloud, and their end."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from console.actions.record import Action
from console.actions.runner import Runner
from infra.local.place import VARIABLE

FOLLOW_LOGS = ("logs", "--follow")
"""Goes on until Ctrl-C, and needs no cloud: the logs of the local one are files."""

LINE = "<b>a line</b> of the log"
END_SECONDS = 60.0


def make_stopped_cloud(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A local cloud that is down: commands end at once and say so. Returns its log, of `LINE`."""
    log = folder / "logs" / "onUpload.log"
    log.parent.mkdir(parents=True)
    log.write_text(f"{LINE}\n")
    monkeypatch.setenv(VARIABLE, str(folder))
    return log


def wait_for(runner: Runner, id_: str, condition: Callable[[Action], bool]) -> Action:
    deadline = time.monotonic() + END_SECONDS
    while not condition(action := runner.action(id_)):
        assert time.monotonic() < deadline, f"{action}: {runner.output(id_).text}"
        time.sleep(0.05)
    return action


def wait_for_end(runner: Runner, id_: str) -> Action:
    return wait_for(runner, id_, lambda action: not action.is_running)


@contextmanager
def ended(runner: Runner) -> Iterator[Runner]:
    """No action outlives the block: they are processes of their own, also when a test fails."""
    try:
        yield runner
    finally:
        for action in runner.running():
            runner.stop(action.id)
        for action in runner.running():
            wait_for_end(runner, action.id)
