"""Processor time of a local cloud's processes, by what they are, also of those that have ended."""

from contextlib import suppress
from pathlib import Path
from threading import Event, Thread
from types import TracebackType

import psutil

from infra.local.place import VARIABLE

LOOK_SECONDS = 0.2
"""What a process does between the last look at it and its end is missed."""

KINDS = {
    "ministack-lambda": "functions",
    "emulator.py": "emulator (S3, SQS)",
    "infra.local.sagemaker": "local SageMaker",
    "-m serving": "model's container",
}
"""By what stands in the command line; the first that fits."""


class Meter:
    """Seconds since it was entered. Processes are few: a container and a function each."""

    def __init__(self, root: Path) -> None:
        self._root = str(root.resolve())
        self._kinds: dict[psutil.Process, str] = {}
        self._before: dict[psutil.Process, float] = {}
        self._now: dict[psutil.Process, float] = {}
        self._enough = Event()
        self._thread = Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "Meter":
        self._look()
        self._before = dict(self._now)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._enough.set()
        self._thread.join()
        self._look()

    def seconds(self) -> dict[str, float]:
        """By kind. `the benchmark` is this process: what it uploads, asks and measures."""
        found: dict[str, float] = {}
        for process, now in self._now.items():
            kind = self._kinds[process]
            found[kind] = found.get(kind, 0.0) + now - self._before.get(process, 0.0)
        return found

    def _watch(self) -> None:
        while not self._enough.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if process not in self._kinds:
                    self._kinds[process] = self._kind(process)
                if self._kinds[process]:
                    times = process.cpu_times()
                    self._now[process] = times.user + times.system

    def _kind(self, process: psutil.Process) -> str:
        """Empty for a process of somebody else's."""
        if process.pid == psutil.Process().pid:
            return "the benchmark"
        if process.environ().get(VARIABLE) != self._root:
            return ""
        line = " ".join(process.cmdline())
        return next((kind for part, kind in KINDS.items() if part in line), "the rest")
