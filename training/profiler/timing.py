"""Who times a training run for its profiler report: the profiler, or nobody."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

import torch

from training.config.paths import Places
from training.config.train_config import TrainConfig
from training.data.sampling import Batch
from training.distributed import World
from training.profiler import report
from training.profiler.profiler import Profiler
from training.profiler.rules import Profile


class Timing(Protocol):
    def steps(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches; a step lasts from asking for one to asking for the next."""

    def mark(self, phase: str) -> None:
        """Within a step: what comes next belongs to this phase."""


class NoTiming:
    def steps(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        return batches

    def mark(self, phase: str) -> None:
        pass


@contextmanager
def profiled(
    told: TrainConfig,
    places: Places,
    world: World,
    say: Callable[[str], None],
    profiler: Callable[[int, torch.device], Profiler] = Profiler,
) -> Iterator[Timing]:
    """The report is written however the run ends."""
    if not world.leads:
        yield NoTiming()
    elif not told.profile_steps or _is_switched_off(places):
        why = "profile-steps is 0" if not told.profile_steps else "the job says DisableProfiler"
        report.write_none(places.reports, f"Not looked for: {why}.")
        yield NoTiming()
    else:
        timing = profiler(told.profile_steps, world.device)
        try:
            with timing:
                yield timing
        finally:
            _report(timing, told, places, say)


def _is_switched_off(places: Places) -> bool:
    """By the job's ProfilerConfig, which SageMaker leaves beside the hyperparameters."""
    path = places.config / "profilerconfig.json"
    return path.exists() and bool(json.loads(path.read_text()).get("DisableProfiler"))


def _report(
    profiler: Profiler, told: TrainConfig, places: Places, say: Callable[[str], None]
) -> None:
    try:
        report.write(places.reports, _profile(profiler, told))
    except OSError as error:
        say(f"no profiler report: {error}")
    if profiler.trouble:
        say(f"the profiler is in part off, and training goes on: {profiler.trouble}")


def _profile(profiler: Profiler, told: TrainConfig) -> Profile:
    timed = max(1, profiler.split_steps)
    return Profile(
        split={phase: seconds / timed for phase, seconds in profiler.split.items()},
        steps=profiler.made,
        seconds=profiler.seconds,
        in_steps=profiler.total,
        before_first=profiler.before_first if profiler.made else profiler.seconds,
        after_last=profiler.after_last,
        operators=profiler.operators(),
        step_seconds=profiler.steps_seconds,
        memory=profiler.memory,
        gpu_memory=profiler.gpu_memory,
        usage=profiler.usage.series,
        decoders=told.decoders if told.unfreeze != "head" else 0,
        trouble=profiler.trouble,
    )
