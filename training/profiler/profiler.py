"""Measures where the time of a step goes: data, forward, backward, optimizer.

It reads the clock twice per phase. A GPU works asynchronously: phases are measured in a few steps
only, with a synchronization at each phase.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any, Self

import psutil
import torch

from training.data.sampling import Batch
from training.profiler import operators
from training.profiler.operators import Operator, TraceWindow
from training.profiler.series import Series
from training.profiler.system_metrics import SystemMetrics

DATA, FORWARD, BACKWARD, OPTIMIZER, OTHER = "data", "forward", "backward", "optimizer", "other"
PHASES = (DATA, FORWARD, BACKWARD, OPTIMIZER, OTHER)
WARMUP_STEPS = 3
"""The first steps are not counted: they also compile, allocate and fill caches."""


MEMORY_SAMPLE_SECONDS = 0.005
"""Between two samples of memory: a head makes ten steps in that time."""


class Profiler:
    """`clock`: seconds. `busy`: percent of the machine's processors, other processes included."""

    def __init__(
        self,
        window: int,
        device: torch.device,
        clock: Callable[[], float] = time.perf_counter,
        busy: Callable[[], float] = psutil.cpu_percent,
    ) -> None:
        self._device = device
        self._clock = clock
        self._exact = window if device.type == "cuda" else 0
        self._first = WARMUP_STEPS
        self._window, self._traced = window, 0
        self._trace = TraceWindow(device)
        self._recorded: Any = None
        self._phase, self._since, self._memory_sampled = OTHER, clock(), 0.0
        self._step = dict.fromkeys(PHASES, 0.0)
        self._began = clock()
        self.usage = SystemMetrics(device, busy)
        self.before_first = self.after_last = 0.0
        """Seconds: data, weights, features; evaluating, compiling, packaging."""
        self.steps_made = 0
        self.total = 0.0
        """Seconds in steps."""
        self.split = dict.fromkeys(PHASES, 0.0)
        """Seconds, of `split_steps` steps."""
        self.split_steps = 0
        self.steps_seconds, self.memory, self.gpu_memory = Series(), Series(), Series()

    def __enter__(self) -> Self:
        self.usage.__enter__()
        return self

    def __exit__(self, *trouble: object) -> None:
        self._stop_tracing()
        self.usage.__exit__()
        ended = self._clock()
        self.seconds = ended - self._began
        self.after_last = ended - self._since if self.steps_made else 0.0

    @property
    def trouble(self) -> str:
        return self._trace.trouble

    def operators(self) -> list[Operator]:
        """Takes a second: call it at the end."""
        if self._recorded is None or not self._traced:
            return []
        return operators.slowest_operators(self._recorded, self._traced, self._device)

    def steps(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches, with every step timed."""
        while True:
            self._begin()
            batch = next(batches, None)
            if batch is None:
                break
            self.mark(OTHER)
            yield batch
            self._end()
        self._stop_tracing()

    def mark(self, phase: str) -> None:
        """Start a phase."""
        if self._is_exact:
            torch.cuda.synchronize(self._device)
        now = self._clock()
        self._step[self._phase] += now - self._since
        self._phase, self._since = phase, now
        self._trace.enter(phase)

    @property
    def _is_exact(self) -> bool:
        return self._first <= self.steps_made < self._first + self._exact

    @property
    def _is_timed(self) -> bool:
        """Whether the step's phases can be measured and are not slowed down by tracing."""
        if self._exact:
            return self._is_exact
        return self.steps_made >= self._first and not self._trace.is_open

    def _begin(self) -> None:
        if not self.steps_made:
            self.before_first = self._clock() - self._began
        if self.steps_made == self._first + self._exact and self._window and not self._traced:
            self._trace.open()
        self.mark(DATA)
        self._step = dict.fromkeys(PHASES, 0.0)

    def _end(self) -> None:
        self.mark(OTHER)
        seconds = sum(self._step.values())
        self.total += seconds
        if self._is_timed:
            self.split = {phase: self.split[phase] + self._step[phase] for phase in PHASES}
            self.split_steps += 1
        if self.steps_made >= self._first and not self._trace.is_open:
            self.steps_seconds.add(self.steps_made + 1, seconds)
        self.steps_made += 1
        if self._since - self._memory_sampled > MEMORY_SAMPLE_SECONDS:
            self._sample_memory()
        self._traced += self._trace.is_open
        if self._traced == self._window:
            self._stop_tracing()

    def _sample_memory(self) -> None:
        self._memory_sampled = self._since
        self.memory.add(self.steps_made, self.usage.memory)
        if self._device.type == "cuda":
            self.gpu_memory.add(self.steps_made, torch.cuda.memory_allocated(self._device))

    def _stop_tracing(self) -> None:
        """The end of an epoch ends the window too: evaluation is not a step."""
        if self._trace.is_open:
            recorded = self._trace.close()
            self._recorded = recorded if self._traced else None
