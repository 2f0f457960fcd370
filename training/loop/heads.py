"""Heads that are trained side by side on one table of features.

Heads with the same batches share one matrix product forward and one backward. Everything else is
per head, with the same code as for a single head: optimizer, clipping, EMA, best epoch.
"""

import math
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from training.config import metrics
from training.config.errors import TrainingFailed
from training.config.metrics import EpochMetrics
from training.config.train_config import TrainConfig
from training.context import TrainContext
from training.data.augment import mix_batch
from training.data.dataset import Dataset
from training.data.features import Features
from training.data.sampling import Batch, rng_for
from training.loop import fit
from training.loop.evaluate import batch_sums
from training.loop.state import TrainState


@dataclass
class Head:
    """A trial in progress."""

    number: int
    config: TrainConfig
    state: TrainState
    loss: nn.Module
    failure: str = ""

    @property
    def linear(self) -> nn.Linear:
        assert isinstance(self.state.model, nn.Linear)
        return self.state.model

    @property
    def should_continue(self) -> bool:
        config = self.config
        return not self.failure and self.state.should_continue(config.epochs, config.patience)

    def line(self, values: EpochMetrics) -> str:
        """With a prefix, so that only the best trial's metrics become the job's."""
        return metrics.line({f"{self.number}:{name}": value for name, value in values.items()})

    def step(
        self, total_steps: int, loss: torch.Tensor, logits: torch.Tensor, targets: torch.Tensor
    ) -> None:
        """One step with the gradients that the head holds."""
        state, value = self.state, float(loss.detach())
        state.step += 1
        if not math.isfinite(value):
            self.failure = str(fit.diverged(state, self.config, value))
            return
        state.optimizer_step(self.config, total_steps)
        state.record_step(value, logits, targets)

    def end_epoch(self, epoch_metrics: EpochMetrics, labels: int) -> None:
        self.state.end_epoch(epoch_metrics, self.config.patience)
        try:
            fit.check_divergence(self.state, self.config, labels)
        except TrainingFailed as failure:
            self.failure = str(failure)


@dataclass(frozen=True)
class ParallelHeads:
    context: TrainContext
    """Its configuration is what the heads have in common."""
    features: Features
    dataset: Dataset

    def train(self, heads: Sequence[Head]) -> None:
        """Every head to its end. They have the same batch size."""
        features = self.features.with_config(heads[0].config)
        while active := [head for head in heads if head.should_continue]:
            self.context.check_interrupt()
            began, epoch = time.monotonic(), len(active[0].state.history)
            for inputs, targets in features.train_batches(epoch, 0):
                self._step(active, features.steps, inputs, targets)
                active = [head for head in active if not head.failure]
                if not active:
                    return
            self._evaluate_epoch(active, features, began)

    def _step(
        self, heads: Sequence[Head], steps: int, inputs: torch.Tensor, targets: torch.Tensor
    ) -> None:
        """As in the loop: all randomness is seeded by the step.

        `inputs`: (B, features), `targets`: (B,), `steps`: per epoch.
        """
        device = self.context.distributed.device
        inputs, targets = inputs.to(device), targets.to(device)
        inputs, mixed = self._mix(inputs, targets, heads[0].state.step + 1)
        logits = _logits([head.linear for head in heads], inputs)
        losses = [head.loss(own, mixed) for head, own in zip(heads, logits, strict=True)]
        for head in heads:
            head.state.optimizer.zero_grad()
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        for head, own, loss in zip(heads, logits, losses, strict=True):
            head.step(head.config.epochs * steps, loss, own, targets)

    def _mix(self, inputs: torch.Tensor, targets: torch.Tensor, step: int) -> Batch:
        config = self.context.config
        if not config.mixup:
            return inputs, targets
        rng = rng_for(config.seed, step, self.context.distributed.rank)
        rng.getrandbits(63)  # the loop seeds torch with it
        classes = functional.one_hot(targets, len(self.dataset.labels)).float()  # (B, labels)
        return mix_batch(inputs, classes, config.mixup, 0, rng)

    def _evaluate_epoch(self, heads: Sequence[Head], features: Features, began: float) -> None:
        distributed = self.context.distributed
        with ExitStack() as stack:
            models = [stack.enter_context(head.state.eval_weights()) for head in heads]
            by_head = [head.state.train_metrics(distributed) for head in heads]
            for split in self.dataset.splits:
                if split != "train":
                    self._evaluate(models, features.eval_batches(split), split, by_head)
        for head, epoch_metrics in zip(heads, by_head, strict=True):
            head.end_epoch(epoch_metrics, len(self.dataset.labels))
            seconds = time.monotonic() - began
            self.context.log(head.line(epoch_metrics | {"seconds": seconds}))

    @torch.inference_mode()
    def _evaluate(
        self,
        models: Sequence[nn.Module],
        batches: Iterable[Batch],
        split: str,
        by_head: Sequence[EpochMetrics],
    ) -> None:
        """Adds the split's loss and accuracy to the metrics of every head."""
        device = self.context.distributed.device
        sums, images = torch.zeros(2, len(models), dtype=torch.float64), 0
        for inputs, targets in batches:
            targets, images = targets.to(device), images + len(targets)
            for head, logits in enumerate(_logits(models, inputs.to(device))):
                sums[:, head] += batch_sums(logits, targets)
        for head, epoch_metrics in enumerate(by_head):
            loss, accuracy = (sums[:, head] / images).tolist()
            epoch_metrics.update({f"{split}_loss": loss, f"{split}_accuracy": accuracy})


def _logits(models: Sequence[nn.Module], inputs: torch.Tensor) -> Sequence[torch.Tensor]:
    """(B, features) to one (B, labels) per head, by one matrix product."""
    heads = [model for model in models if isinstance(model, nn.Linear)]
    weights = torch.cat([head.weight.view_as(head.weight) for head in heads])  # (K * L, F)
    biases = [head.bias.view_as(head.bias) for head in heads if head.bias is not None]
    bias = torch.cat(biases) if biases else None  # (K * L,)
    return torch.split(functional.linear(inputs, weights, bias), heads[0].out_features, 1)
