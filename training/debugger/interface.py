"""What the loop reports to a debugger, and the debugger that does nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import nn

from training.context import TrainContext
from training.debugger import report as debug_report
from training.debugger.report import DebugSummary


@dataclass(frozen=True, slots=True)
class DebuggedRun:
    """The part of a training run that a debugger reads."""

    module: nn.Module
    """The whole network, or its head alone."""

    loss: nn.Module
    loss_scale: Callable[[], float]
    """The gradient scaler's current factor."""

    steps_per_epoch: int
    first_step: int
    """Above 0 if the run resumes from a checkpoint."""

    class_images: Mapping[str, int] = field(default_factory=dict)
    """The training images of each class, in the order of the labels' numbers."""


class Debugger(Protocol):
    """Errors inside never reach the loop."""

    def record_labels(self, labels: torch.Tensor) -> None:
        """Of a training step, after the forward pass."""

    def record_evaluation(self, split: str, loss: float, train_loss: float) -> None:
        """After a pass over a split; `train_loss`: the mean loss of the epoch before."""

    def record_divergence(self, loss: float) -> None:
        """The last step's loss ends the run."""

    def should_stop(self) -> bool:
        """Evaluate an epoch; whether a rule of stop-on found an issue."""

    def summary(self) -> DebugSummary:
        """The content of the report."""

    def close(self) -> None:
        """Remove all hooks from the network."""


class NullDebugger:
    def __init__(self, why: str, state: str = "off") -> None:
        self._summary = DebugSummary(state, why)

    def record_labels(self, labels: torch.Tensor) -> None:
        pass

    def record_evaluation(self, split: str, loss: float, train_loss: float) -> None:
        pass

    def record_divergence(self, loss: float) -> None:
        pass

    def should_stop(self) -> bool:
        return False

    def summary(self) -> DebugSummary:
        return self._summary

    def close(self) -> None:
        pass


def write_report(debugger: Debugger, context: TrainContext) -> None:
    """The report of the run so far."""
    try:
        debug_report.write(context.paths.reports, debugger.summary(), context.paths.origin())
    except OSError as error:
        context.log(f"debug report not written: {error}")
