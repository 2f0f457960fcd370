"""Who watches a training run for its debug report: the debugger, or nobody, and why nobody."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Protocol

import torch
from torch import nn

from training import debug_report
from training.config import TrainConfig
from training.course import Course
from training.debug_report import Watched
from training.places import Places
from training.world import World


class Watch(Protocol):
    """What the loop tells of. Nothing that goes wrong in here reaches it."""

    def labels(self, labels: torch.Tensor) -> None:
        """Of a training step, after the network's answer."""

    def judged(self, split: str, loss: float, learnt: float) -> None:
        """A split was passed over once; `learnt`: the mean loss of the epoch before."""

    def exploded(self, loss: float) -> None:
        """The step just made ends the run."""

    def asks_to_stop(self) -> bool:
        """Looks at what an epoch has brought; whether a rule fired that is to end the run."""

    def told(self) -> Watched:
        """What the report says."""

    def close(self) -> None:
        """The network is left as it was found."""


class Nobody:
    def __init__(self, why: str, state: str = "off") -> None:
        self._told = Watched(state, why)

    def labels(self, labels: torch.Tensor) -> None:
        pass

    def judged(self, split: str, loss: float, learnt: float) -> None:
        pass

    def exploded(self, loss: float) -> None:
        pass

    def asks_to_stop(self) -> bool:
        return False

    def told(self) -> Watched:
        return self._told

    def close(self) -> None:
        pass


@contextmanager
def watched(
    told: TrainConfig,
    places: Places,
    world: World,
    steps: int,
    course: Course,
    loss: nn.Module,
    say: Callable[[str], None],
) -> Iterator[Watch]:
    """`steps`: in an epoch. The report is written however the run ends."""
    watch = _watch(told, places, world, steps, course, loss, say)
    try:
        yield watch
    finally:
        watch.close()
        if world.leads:
            report(watch, places, say)


def report(watch: Watch, places: Places, say: Callable[[str], None]) -> None:
    """As things stand."""
    try:
        debug_report.write(places.reports, watch.told())
    except OSError as error:
        say(f"no debug report: {error}")


def _watch(
    told: TrainConfig,
    places: Places,
    world: World,
    steps: int,
    course: Course,
    loss: nn.Module,
    say: Callable[[str], None],
) -> Watch:
    if told.debug == "off":
        return Nobody("It was switched off (debug=off).")
    if not world.leads:
        return Nobody("The first process of the job is watched.")
    if find_spec("smdebug") is None:
        return Nobody("smdebug is not in this container's image.")
    # A second to import, for those who want it.
    from training.debugger import debugger

    return debugger(told, places, steps, course, loss, say)
