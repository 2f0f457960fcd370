"""A line a step, while all else that is printed goes into a log file."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from domain.foreign import visible

if TYPE_CHECKING:
    from infra.verify.step import StepResult

SIGNS = {"passed": "ok", "failed": "FAILED", "not run": "not run"}

MAX_SHOWN = 100
"""Characters that are shown of a step that passed; the report has all of them."""


class StepLines:
    """Shows which step runs, and then what became of it.

    No spinner: its thread and its cursor would be half made where Ctrl-C comes in between.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def begin(self, name: str) -> None:
        if self._console.is_terminal:
            self._console.print(
                visible(f"{'…':8}{name}"), end="\r", markup=False, highlight=False, soft_wrap=True
            )

    def end(self, result: "StepResult") -> None:
        observed = result.observed
        if result.state == "passed" and len(observed) > MAX_SHOWN:
            observed = observed[: MAX_SHOWN - 2] + " …"
        line = f"{SIGNS[result.state]:8}{result.name:20}{result.seconds:7.1f} s  "
        self._console.print(visible(line + observed), markup=False, highlight=False, soft_wrap=True)


@contextmanager
def only_on_console(log: Path) -> Iterator[Console]:
    """A console on the terminal; what this process and its children print goes to `log` instead."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    terminal, errors = os.dup(1), os.dup(2)
    with log.open("ab") as file, os.fdopen(os.dup(terminal), "w") as screen:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield Console(file=screen)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os.dup2(terminal, 1)
            os.dup2(errors, 2)
            os.close(terminal)
            os.close(errors)
