"""Death without warning, for processes of one local cloud."""

import os
import signal
from collections.abc import Callable
from contextlib import suppress

import psutil

from infra.local import cloud as local
from infra.local.place import VARIABLE
from tests.flow.support.drive import eventually

Kill = Callable[[str], None]


def killer(running: local.LocalCloud) -> Kill:
    """Kills every process of this cloud whose command line holds a text, once there is one."""
    root = str(running.place.root)

    def run(text: str) -> int | None:
        killed = 0
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                line = " ".join(process.cmdline())
                ours = root in line or process.environ().get(VARIABLE) == root
                if ours and text in line and "leash" not in line:
                    os.kill(process.pid, signal.SIGKILL)
                    killed += 1
        return killed or None

    def until_killed(text: str) -> None:
        eventually(lambda: run(text), f"a process of this cloud that runs {text}", patience=30)

    return until_killed
