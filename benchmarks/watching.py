"""What the debugger and the profiler cost a training step, at the defaults.

`python -m benchmarks.watching photos/ [--rounds 30] [--apart] [epochs=40 …]`
`python -m benchmarks.watching photos/ --steps 20 --rounds 3 unfreeze=all arch=resnet50 …`

The container's own loop takes the same steps from the same start, watched and not watched in turn,
in one process. `--steps` ends each run early; the debugger then looks as often as in a whole one.
"""

import argparse
import copy
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median, quantiles

from training.config import hook_config, metrics
from training.config.paths import Places
from training.config.train_config import TrainConfig
from training.data import dataset as data
from training.data.dataset import Dataset
from training.data.loader import Images
from training.data.sampling import Batch, Source
from training.debugger import attach
from training.debugger.interface import Training
from training.distributed import World
from training.loop import setup as lesson
from training.loop.fit import Loop
from training.loop.setup import Lesson
from training.model import pretrained
from training.profiler import timing as profiling

BOTH, NEITHER = "both", "neither"
KINDS: Mapping[str, Mapping[str, str]] = {
    NEITHER: {"debug": "off", "profile-steps": "0"},
    BOTH: {},
    "debugger": {"profile-steps": "0"},
    "profiler": {"debug": "off"},
}


@dataclass
class Fewer:
    """The first steps of an epoch, and a batch to judge by."""

    source: Source
    steps: int

    def training(self, epoch: int, skip: int) -> Iterator[Batch]:
        return islice(self.source.training(epoch, skip), self.steps)

    def judged(self, split: str) -> Iterator[Batch]:
        return islice(self.source.judged(split), 1)


@dataclass(frozen=True, slots=True)
class Took:
    step: float
    """Milliseconds, the mean of all."""
    beside: float
    """Seconds of the run that were in no step: judging, rules, reports."""


@dataclass(frozen=True)
class Bench:
    told: TrainConfig
    dataset: Dataset
    lesson: Lesson
    world: World

    def run(self, watched: Mapping[str, str]) -> Took:
        told = TrainConfig.from_strings({**self.told.to_strings(), **watched})
        with tempfile.TemporaryDirectory() as name:
            began, lines = time.perf_counter(), list[str]()
            self._learn(told, Places(*[Path(name)] * 5), lines)
            whole = time.perf_counter() - began
        epochs = [found for line in lines if "seconds" in (found := metrics.parse(line))]
        in_steps = sum(each["seconds"] for each in epochs)
        return Took(1e3 * in_steps / (len(epochs) * self.lesson.source.steps), whole - in_steps)

    def _learn(self, told: TrainConfig, places: Places, lines: list[str]) -> None:
        course = lesson.begun(told, copy.deepcopy(self.lesson.learner), self.world)
        loss, source = lesson.loss(told, self.dataset, self.world), self.lesson.source
        precision = lesson.precision(told, self.world)
        training = Training(course.module, loss, course.scaler.get_scale, source.steps, course.step)
        with (
            profiling.profiled(told, places, self.world, lines.append) as timing,
            attach.watched(told, places, self.world, training, lines.append) as watch,
        ):
            Loop(
                told, source, ("validation",), len(self.dataset.labels), loss, precision,
                self.world, _nothing, _never, lines.append, watch, timing,
            ).run(course)  # fmt: skip


def _nothing() -> None:
    pass


def _never() -> bool:
    return False


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.watching", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=30, help="two at least")
    parser.add_argument("--steps", type=int, default=0, help="of each run; 0: all epochs")
    parser.add_argument("--apart", action="store_true", help="debugger and profiler alone, too")
    parser.add_argument("hyperparameters", nargs="*", metavar="name=value")
    given = parser.parse_intermixed_args(arguments)
    told = TrainConfig.from_strings(dict(each.split("=", 1) for each in given.hyperparameters))
    kinds = [*KINDS] if given.apart else [NEITHER, BOTH]
    with tempfile.TemporaryDirectory() as scratch:
        bench = _prepared(told, given.data.resolve(), Path(scratch), given.steps)
        bench.run(KINDS[BOTH])  # imports, caches
        rounds = list[dict[str, Took]]()
        for number in range(given.rounds):
            order = kinds if number % 2 else kinds[::-1]
            rounds.append({kind: bench.run(KINDS[kind]) for kind in order})
            _tell(f"round {number + 1}", rounds[-1], kinds)
    _conclude(rounds, kinds)
    return 0


def _prepared(told: TrainConfig, photos: Path, scratch: Path, steps: int) -> Bench:
    (scratch / "channels").mkdir()
    (scratch / "channels" / "data").symlink_to(photos)
    world = World()
    dataset = data.prepare(scratch / "channels", told.selects, told.max_unreadable, _nothing)
    start = pretrained.start(told, len(dataset.labels), scratch / "none")
    images = Images(dataset, start.preprocessing, told, world)
    if told.unfreeze == "head":
        made = lesson.head_alone(told, start, dataset, images, scratch, world, lambda *_: None)
    else:
        made = lesson.whole_network(start, images, world)
    every = hook_config.interval(told.epochs * made.source.steps, told.unfreeze != "head")
    told = replace(told, debug_interval=told.debug_interval or every)
    if steps:
        told = replace(told, epochs=1)
        made = replace(made, source=Fewer(made.source, steps))
    print(f"{told.arch}, {told.unfreeze}: {told.epochs} x {made.source.steps} steps of "
          f"{told.batch_size}, a look every {told.debug_interval}", flush=True)  # fmt: skip
    return Bench(told, dataset, made, world)


def _tell(name: str, took: Mapping[str, Took], kinds: Iterable[str]) -> None:
    shown = (f"{kind} {took[kind].step:.4g} ms + {took[kind].beside:.2f} s" for kind in kinds)
    print(f"{name}: {', '.join(shown)}", flush=True)


def _conclude(rounds: list[dict[str, Took]], kinds: list[str]) -> None:
    """Each round's runs are compared with each other: what else the machine does changes slowly."""
    for kind in kinds[1:]:
        low, middle, high = quantiles(each[kind].step / each[NEITHER].step for each in rounds)
        beside = median(each[kind].beside - each[NEITHER].beside for each in rounds)
        print(f"{kind}: a step takes {middle:.3f} times as long (half of the rounds: {low:.3f} to "
              f"{high:.3f}), and {beside:.2f} s a run come beside the steps")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
