"""What the debugger and the profiler cost a training step, at the defaults.

`python -m benchmarks.training.watching photos/ [--rounds 30] [--apart] [epochs=40 …]`
`python -m benchmarks.training.watching photos/ --steps 20 --rounds 3 unfreeze=all arch=resnet50 …`

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
from training.config.paths import ContainerPaths
from training.config.train_config import TrainConfig
from training.context import TrainContext
from training.data import dataset as data
from training.data.loader import Images
from training.data.sampling import Batch, BatchSource
from training.debugger.attach import attach_debugger
from training.debugger.interface import DebuggedRun
from training.distributed import Distributed
from training.loop.fit import Loop
from training.loop.setup import TrainSetup, initial_state, make_loss, setup_head, setup_network
from training.model.pretrained import load_pretrained
from training.profiler.timing import attach_profiler

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

    source: BatchSource
    steps: int

    def train_batches(self, epoch: int, skip: int) -> Iterator[Batch]:
        return islice(self.source.train_batches(epoch, skip), self.steps)

    def eval_batches(self, split: str) -> Iterator[Batch]:
        return islice(self.source.eval_batches(split), 1)


@dataclass(frozen=True, slots=True)
class Took:
    step: float
    """Milliseconds, the mean of all."""
    beside: float
    """Seconds of the run that were in no step: judging, rules, reports."""


@dataclass(frozen=True)
class Bench:
    config: TrainConfig
    setup: TrainSetup
    distributed: Distributed

    def run(self, watched: Mapping[str, str]) -> Took:
        config = TrainConfig.from_strings({**self.config.to_strings(), **watched})
        with tempfile.TemporaryDirectory() as name:
            began, lines = time.perf_counter(), list[str]()
            paths = ContainerPaths(*[Path(name)] * 5)
            self._train(TrainContext(config, paths, self.distributed, _never, lines.append))
            whole = time.perf_counter() - began
        epochs = [values for line in lines if "seconds" in (values := metrics.parse(line))]
        in_steps = sum(values["seconds"] for values in epochs)
        return Took(1e3 * in_steps / (len(epochs) * self.setup.source.steps), whole - in_steps)

    def _train(self, context: TrainContext) -> None:
        config, setup = context.config, self.setup
        state = initial_state(config, copy.deepcopy(setup.model), self.distributed)
        loss = make_loss(config, setup.dataset, self.distributed)
        scale, steps = state.scaler.get_scale, setup.source.steps
        run = DebuggedRun(state.model, loss, scale, steps, state.step)
        with attach_profiler(context) as timer, attach_debugger(context, run) as debugger:
            Loop(context, setup, loss, debugger, timer, _nothing).run(state)


def _nothing() -> None:
    pass


def _never() -> bool:
    return False


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.training.watching", description=__doc__
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=30, help="two at least")
    parser.add_argument("--steps", type=int, default=0, help="of each run; 0: all epochs")
    parser.add_argument("--apart", action="store_true", help="debugger and profiler alone, too")
    parser.add_argument("hyperparameters", nargs="*", metavar="name=value")
    args = parser.parse_intermixed_args(arguments)
    config = TrainConfig.from_strings(dict(pair.split("=", 1) for pair in args.hyperparameters))
    kinds = [*KINDS] if args.apart else [NEITHER, BOTH]
    with tempfile.TemporaryDirectory() as scratch:
        bench = _prepared(config, args.data.resolve(), Path(scratch), args.steps)
        bench.run(KINDS[BOTH])  # imports, caches
        rounds = list[dict[str, Took]]()
        for number in range(args.rounds):
            order = kinds if number % 2 else kinds[::-1]
            rounds.append({kind: bench.run(KINDS[kind]) for kind in order})
            _tell(f"round {number + 1}", rounds[-1], kinds)
    _conclude(rounds, kinds)
    return 0


def _prepared(config: TrainConfig, photos: Path, scratch: Path, steps: int) -> Bench:
    (scratch / "channels").mkdir()
    (scratch / "channels" / "data").symlink_to(photos)
    paths = ContainerPaths(*[scratch / "channels"] * 5)
    context = TrainContext(config, paths, Distributed(), _never, print)
    needs_test, max_unreadable = config.selects_by_validation, config.max_unreadable
    dataset = data.prepare(scratch / "channels", needs_test, max_unreadable, _nothing)
    splits = {name: dataset.splits[name] for name in ("train", "validation")}
    pretrained = load_pretrained(config, len(dataset.labels), scratch / "none")
    images = Images(dataset, pretrained.preprocessing, config, context.distributed)
    if config.unfreeze == "head":
        setup = setup_head(context, pretrained, images, scratch)
    else:
        setup = setup_network(context, pretrained, images)
    setup = replace(setup, dataset=replace(dataset, splits=splits))
    interval = hook_config.interval(config.epochs * setup.source.steps, config.unfreeze != "head")
    config = replace(config, debug_interval=config.debug_interval or interval)
    if steps:
        config = replace(config, epochs=1)
        setup = replace(setup, source=Fewer(setup.source, steps))
    print(f"{config.arch}, {config.unfreeze}: {config.epochs} x {setup.source.steps} steps of "
          f"{config.batch_size}, a look every {config.debug_interval}", flush=True)  # fmt: skip
    return Bench(config, setup, context.distributed)


def _tell(name: str, took: Mapping[str, Took], kinds: Iterable[str]) -> None:
    shown = (f"{kind} {took[kind].step:.4g} ms + {took[kind].beside:.2f} s" for kind in kinds)
    print(f"{name}: {', '.join(shown)}", flush=True)


def _conclude(rounds: list[dict[str, Took]], kinds: list[str]) -> None:
    """Each round's runs are compared with each other: what else the machine does changes slowly."""
    for kind in kinds[1:]:
        low, middle, high = quantiles(round_[kind].step / round_[NEITHER].step for round_ in rounds)
        beside = median(round_[kind].beside - round_[NEITHER].beside for round_ in rounds)
        print(f"{kind}: a step takes {middle:.3f} times as long (half of the rounds: {low:.3f} to "
              f"{high:.3f}), and {beside:.2f} s a run come beside the steps")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
