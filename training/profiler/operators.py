"""Traces a window of steps with torch's profiler: the time of each operator."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.autograd.profiler import profile, record_function

PREFIX = "step: "
PYTHON = "Python between operators"
OPERATORS_SHOWN = 15


@dataclass(frozen=True, slots=True)
class Operator:
    name: str
    phase: str
    calls: float
    """Per step."""
    milliseconds: float
    """Per step, without the operators it calls."""
    share: float
    """Of the time of the traced steps."""


@dataclass
class TraceWindow:
    """`trouble`: why nothing is traced; torch allows one profiler at a time, some systems none."""

    device: torch.device
    trouble: str = ""
    _profile: Any = None
    _ranges: list[Any] = field(default_factory=list)

    @property
    def is_open(self) -> bool:
        return self._profile is not None

    def open(self) -> None:
        """Not torch.profiler.profile, which imports torch's compiler: 1.6 s."""
        try:
            opened = profile(use_device="cuda" if self.device.type == "cuda" else None)
            opened.__enter__()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            self.trouble = f"torch's profiler is not available: {error}"
        else:
            self._profile = opened

    def enter(self, phase: str) -> None:
        """Start a phase."""
        self._leave()
        if self.is_open:
            entered = record_function(PREFIX + phase)
            entered.__enter__()  # type: ignore[no-untyped-call]
            self._ranges.append(entered)

    def close(self) -> Any:
        """The input of `slowest_operators`; None if nothing was recorded."""
        self._leave()
        closed, self._profile = self._profile, None
        if closed is None:
            return None
        try:
            closed.__exit__(None, None, None)
        except RuntimeError as error:
            self.trouble = f"torch's profiler failed: {error}"
            return None
        return closed

    def _leave(self) -> None:
        while self._ranges:
            self._ranges.pop().__exit__(None, None, None)


def slowest_operators(recorded: Any, steps: int, device: torch.device) -> list[Operator]:
    """The slowest first."""
    events = recorded.function_events
    phases = [
        (event.time_range.start, event.time_range.end, event.name.removeprefix(PREFIX))
        for event in events
        if event.name.startswith(PREFIX)
    ]
    whole = sum(end - start for start, end, _ in phases) or 1.0
    own: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for name, start, spent in _own_times(events, device):
        phase = next((value for since, until, value in phases if since <= start < until), "other")
        row = own[name, phase]
        row[0] += 1
        row[1] += spent
    slowest = sorted(own.items(), key=lambda row: -row[1][1])[:OPERATORS_SHOWN]
    return [
        Operator(name, phase, calls / steps, spent / 1000 / steps, spent / whole)
        for (name, phase), (calls, spent) in slowest
        if spent > 0
    ]


def _own_times(events: Any, device: torch.device) -> Iterator[tuple[str, float, float]]:
    """(operator, start, microseconds without the operators it calls)"""
    on_gpu = device.type == "cuda"
    for event in events:
        start = event.time_range.start
        if event.name == f"{PREFIX}forward" and not on_gpu:
            yield PYTHON, start, event.self_cpu_time_total
        elif "::" in event.name:
            spent = event.self_device_time_total if on_gpu else event.self_cpu_time_total
            yield event.name, start, spent
