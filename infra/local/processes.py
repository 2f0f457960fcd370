"""Child processes that never outlive this one, however it ends; see leash.py."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread

import psutil

from infra.local import leash

MARK = "SORTBOX_PROCESS"
"""An environment variable of every child and its descendants, by which `find_running` finds
them."""


@dataclass(frozen=True, slots=True)
class Child:
    """A started command. `exited` resolves to its exit status, 128 + N after signal N as in a
    shell.
    """

    name: str
    log: Path
    exited: Future[int]
    _leash: "subprocess.Popen[bytes]" = field(repr=False)

    @property
    def is_alive(self) -> bool:
        return not self.exited.done()

    def terminate(self, grace: float = 30.0) -> None:
        """Ask the process group to end, and kill it after `grace` seconds; does not wait."""
        held = self._leash.stdin
        if held is not None:
            with suppress(BrokenPipeError, ValueError):  # it has ended or was released before
                held.write(f"{grace:g}".encode())
            held.close()

    def stop(self, grace: float = 30.0) -> int:
        """As `terminate`, then wait; returns the exit status."""
        self.terminate(grace)
        return self.exited.result()


@dataclass(frozen=True, slots=True)
class RunningProcess:
    pid: int
    name: str


def start(
    argv: Sequence[str],
    env: Mapping[str, str],
    log: Path,
    name: str,
    cwd: Path | None = None,
) -> Child:
    """Start `argv` with exactly `env` in its own process group; output is appended to `log`.

    A command that cannot be started exits with 127 and writes the reason to the log.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", leash.__file__, f"sortbox-{name}", str(log), *argv],
        env={**env, MARK: name},
        cwd=cwd,
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C reaches this process only, which stops its children
    )
    child = Child(name, log, Future(), process)
    child.exited.set_running_or_notify_cancel()
    Thread(target=_report_exit, args=(child,), name=f"wait-{name}", daemon=True).start()
    return child


def find_running(name_prefix: str = "") -> list[RunningProcess]:
    """Every live process on this machine that Sortbox started, and its descendants, even if the
    parent has ended.
    """
    processes = []
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            name = process.environ().get(MARK)
            if name is not None and name.startswith(name_prefix):
                processes.append(RunningProcess(process.pid, name))
    return processes


def _report_exit(child: Child) -> None:
    status = child._leash.wait()
    if child._leash.stdin is not None:
        child._leash.stdin.close()
    child.exited.set_result(status)
