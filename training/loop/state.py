"""A training run as far as it has come: all that changes, and all that a checkpoint holds."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from training.config.metrics import Curves
from training.loop.optimizer import Average

Weights = dict[str, torch.Tensor]


@dataclass
class Course:
    module: nn.Module
    """The whole network, or its head alone."""
    optimizer: Optimizer
    average: Average | None
    scaler: torch.amp.GradScaler
    step: int = 0
    history: list[Curves] = field(default_factory=list)
    loss: float = 0.0
    """Summed over the images of the epoch so far, as this process saw them."""
    right: int = 0
    seen: int = 0
    best: Weights | None = None

    def state(self) -> dict[str, Any]:
        return {
            "module": self.module.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state if self.average else None,
            "scaler": self.scaler.state_dict(),
            "step": self.step,
            "history": self.history,
            "epoch": [self.loss, self.right, self.seen],
            "best": self.best,
        }

    def restore(self, state: dict[str, Any] | None) -> None:
        """To where a checkpoint left off; to where it is, where there is none."""
        if state is None:
            return
        self.module.load_state_dict(state["module"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        if self.average:
            self.average.restore(state["average"])
        self.step, self.history = state["step"], state["history"]
        self.loss, self.right, self.seen = state["epoch"]
        self.best = state["best"]

    def goes_on(self, epochs: int, patience: int) -> bool:
        """Whether another epoch is to come. `patience`: epochs that may bring nothing better."""
        losses = [epoch["validation_loss"] for epoch in self.history]
        if not losses or not patience:
            return len(losses) < epochs
        return len(losses) < epochs and len(losses) - 1 - losses.index(min(losses)) < patience

    def descend(self, clip: float) -> None:
        """A step along the gradients that the module holds."""
        if clip:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.module.parameters(), clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average:
            self.average.update(self.module, self.step)

    def end_epoch(self, curves: Curves, patience: int) -> None:
        """With patience the weights are remembered where none were better."""
        before = (epoch["validation_loss"] for epoch in self.history)
        if patience and curves["validation_loss"] < min(before, default=math.inf):
            self.remember()
        self.history.append(curves)
        self.loss, self.right, self.seen = 0.0, 0, 0

    @contextmanager
    def judged(self) -> Iterator[nn.Module]:
        """The module with the weights that would be kept now, only looking."""
        learning = {name: each.clone() for name, each in self.module.state_dict().items()}
        if self.average:
            self.module.load_state_dict(self.average.state)
        self.module.eval()
        try:
            yield self.module
        finally:
            self.module.load_state_dict(learning)

    def remember(self) -> None:
        """The weights of this epoch are the best so far."""
        with self.judged() as module:
            self.best = {name: each.clone() for name, each in module.state_dict().items()}

    def settle(self) -> None:
        """Leaves in the module the weights that are kept: the best, else the last."""
        kept = self.best or (self.average.state if self.average else None)
        if kept:
            self.module.load_state_dict(kept)
        self.module.eval()
