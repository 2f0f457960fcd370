"""What the loop tells a debugger of, and the debugger that is none."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from training.config.paths import Places
from training.debugger import report as debug_report
from training.debugger.report import Watched


@dataclass(frozen=True, slots=True)
class Training:
    """What is watched of a training run."""

    module: nn.Module
    """The whole network, or its head alone."""

    loss: nn.Module
    scale: Callable[[], float]
    """By which the gradient scaler multiplies the loss now."""

    steps_per_epoch: int
    first_step: int
    """Above 0 where the run goes on from a checkpoint."""


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


class NullDebugger:
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


def write_report(watch: Watch, places: Places, say: Callable[[str], None]) -> None:
    """As things stand."""
    try:
        debug_report.write(places.reports, watch.told())
    except OSError as error:
        say(f"no debug report: {error}")
