"""Attaches the profiler to a training run, or a timer that does nothing."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch

from training.config.paths import ContainerPaths
from training.config.train_config import TrainConfig
from training.context import TrainContext
from training.data.sampling import Batch
from training.profiler import report
from training.profiler.profiler import Profiler
from training.profiler.rules import Profile


class StepTimer(Protocol):
    def steps(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches; a step lasts from the request for one to the request for the next."""

    def mark(self, phase: str) -> None:
        """Start a phase of the step."""


class NullTimer:
    def steps(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        return batches

    def mark(self, phase: str) -> None:
        pass


@contextmanager
def attach_profiler(
    context: TrainContext, profiler: Callable[[int, torch.device], Profiler] = Profiler
) -> Iterator[StepTimer]:
    """Writes the report however the run ends."""
    config, paths = context.config, context.paths
    if not context.distributed.is_main:
        yield NullTimer()
    elif not config.profile_steps or _is_disabled(paths):
        why = "profile-steps is 0" if not config.profile_steps else "the job sets DisableProfiler"
        report.write_none(paths.reports, f"Not profiled: {why}.", paths.origin())
        yield NullTimer()
    else:
        timer = profiler(config.profile_steps, context.distributed.device)
        try:
            with timer:
                yield timer
        finally:
            _write_report(timer, context)


def _is_disabled(paths: ContainerPaths) -> bool:
    """By the job's ProfilerConfig, which SageMaker writes beside the hyperparameters."""
    path = paths.config / "profilerconfig.json"
    return path.exists() and bool(json.loads(path.read_text()).get("DisableProfiler"))


def _write_report(profiler: Profiler, context: TrainContext) -> None:
    try:
        profile = _make_profile(profiler, context.config)
        report.write(context.paths.reports, profile, context.paths.origin())
    except OSError as error:
        context.log(f"profiler report not written: {error}")
    if profiler.trouble:
        context.log(f"profiler incomplete, training continues: {profiler.trouble}")


def _make_profile(profiler: Profiler, config: TrainConfig) -> Profile:
    timed = max(1, profiler.split_steps)
    return Profile(
        split={phase: seconds / timed for phase, seconds in profiler.split.items()},
        steps=profiler.steps_made,
        seconds=profiler.seconds,
        in_steps=profiler.total,
        before_first=profiler.before_first if profiler.steps_made else profiler.seconds,
        after_last=profiler.after_last,
        operators=profiler.operators(),
        step_seconds=profiler.steps_seconds,
        memory=profiler.memory,
        gpu_memory=profiler.gpu_memory,
        usage=profiler.usage.series,
        decoders=config.decoders if config.unfreeze != "head" else 0,
        trouble=profiler.trouble,
    )
