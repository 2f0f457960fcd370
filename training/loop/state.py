"""The state of a training run: all that changes, and all that a checkpoint holds."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from training.config.metrics import EpochMetrics
from training.config.train_config import TrainConfig
from training.distributed import Distributed
from training.loop.evaluate import count_correct
from training.loop.optimizer import EMA, lr_share, set_lr

Weights = dict[str, torch.Tensor]


@dataclass
class TrainState:
    model: nn.Module
    """The whole network, or its head alone."""
    optimizer: Optimizer
    ema: EMA | None
    scaler: torch.amp.GradScaler
    step: int = 0
    history: list[EpochMetrics] = field(default_factory=list)
    loss: float = 0.0
    """Sum over the images of the current epoch, in this process."""
    correct: int = 0
    images: int = 0
    best: Weights | None = None

    def to_checkpoint(self) -> dict[str, Any]:
        return {
            "module": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.ema.state if self.ema else None,
            "scaler": self.scaler.state_dict(),
            "step": self.step,
            "history": self.history,
            "epoch": [self.loss, self.correct, self.images],
            "best": self.best,
        }

    def restore(self, checkpoint: dict[str, Any] | None) -> None:
        """Does nothing without a checkpoint."""
        if checkpoint is None:
            return
        self.model.load_state_dict(checkpoint["module"])
        self.optimizer.load_state_dict(checkpoint["optimizer"])
        self.scaler.load_state_dict(checkpoint["scaler"])
        if self.ema:
            self.ema.restore(checkpoint["average"])
        self.step, self.history = checkpoint["step"], checkpoint["history"]
        self.loss, self.correct, self.images = checkpoint["epoch"]
        self.best = checkpoint["best"]

    def should_continue(self, epochs: int, patience: int) -> bool:
        """Whether another epoch follows. `patience`: epochs without a lower validation loss."""
        losses = [epoch["validation_loss"] for epoch in self.history]
        if not losses or not patience:
            return len(losses) < epochs
        return len(losses) < epochs and len(losses) - 1 - losses.index(min(losses)) < patience

    def optimizer_step(self, config: TrainConfig, total_steps: int) -> None:
        """Clip the gradients that the model holds, and update weights and EMA."""
        set_lr(self.optimizer, lr_share(self.step - 1, total_steps, config.warmup))
        if config.clip:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), config.clip)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.ema:
            self.ema.update(self.model, self.step)

    def record_step(self, loss: float, logits: torch.Tensor, targets: torch.Tensor) -> None:
        """`logits`: (B, labels), `targets`: (B,)."""
        self.loss += loss * len(targets)
        self.correct += int(count_correct(logits, targets))
        self.images += len(targets)

    def train_metrics(self, distributed: Distributed) -> EpochMetrics:
        """Of the current epoch, over all processes."""
        loss, correct, images = distributed.all_reduce_sum(self.loss, self.correct, self.images)
        return {
            "epoch": len(self.history) + 1,
            "train_loss": loss / images,
            "train_accuracy": correct / images,
        }

    def end_epoch(self, epoch_metrics: EpochMetrics, patience: int) -> None:
        """With patience, weights with the lowest validation loss so far are kept as the best."""
        before = (epoch["validation_loss"] for epoch in self.history)
        if patience and epoch_metrics["validation_loss"] < min(before, default=math.inf):
            self.keep_as_best()
        self.history.append(epoch_metrics)
        self.loss, self.correct, self.images = 0.0, 0, 0

    @contextmanager
    def eval_weights(self) -> Iterator[nn.Module]:
        """The model in eval mode with the weights that would be kept now: the EMA's, if any."""
        training = {name: value.clone() for name, value in self.model.state_dict().items()}
        if self.ema:
            self.model.load_state_dict(self.ema.state)
        self.model.eval()
        try:
            yield self.model
        finally:
            self.model.load_state_dict(training)

    def keep_as_best(self) -> None:
        with self.eval_weights() as model:
            self.best = {name: value.clone() for name, value in model.state_dict().items()}

    def load_best(self) -> None:
        """Load the weights that are kept: the best, else the EMA's, else the last."""
        kept = self.best or (self.ema.state if self.ema else None)
        if kept:
            self.model.load_state_dict(kept)
        self.model.eval()
