"""The training loop: steps, evaluation after each epoch, checkpoints."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import one_hot
from torch.nn.parallel import DistributedDataParallel

from training.config import metrics
from training.config.errors import Interrupted, TrainingFailed
from training.config.metrics import EpochMetrics
from training.config.train_config import TrainConfig
from training.context import TrainContext
from training.data.augment import mix_batch
from training.data.sampling import rng_for
from training.debugger.interface import Debugger
from training.loop.evaluate import batch_sums
from training.loop.setup import TrainSetup, compute_dtype
from training.loop.state import TrainState
from training.model import networks
from training.profiler.profiler import BACKWARD, FORWARD, OPTIMIZER, OTHER
from training.profiler.timing import StepTimer

DIVERGED_FACTOR = 3.0
"""Times chance level: a mean loss above it has diverged."""


@dataclass(frozen=True)
class Loop:
    context: TrainContext
    setup: TrainSetup
    loss: nn.Module
    debugger: Debugger
    timer: StepTimer
    save: Callable[[], None]
    """Writes a checkpoint."""

    def run(self, state: TrainState) -> None:
        """From `state` to the last epoch. Raises TrainingFailed or Interrupted."""
        config, distributed = self.context.config, self.context.distributed
        while state.should_continue(config.epochs, config.patience):
            seconds = self._train_epoch(state)
            self._evaluate_epoch(state, seconds)
            self._save()
            if any(distributed.all_reduce_sum(self.debugger.should_stop())):
                break
        state.load_best()

    def _train_epoch(self, state: TrainState) -> float:
        """The rest of the current epoch; returns its seconds."""
        config, source = self.context.config, self.setup.source
        epoch, began = len(state.history), time.monotonic()
        model, saved = self._open_model(state.model, epoch), began
        batches = source.train_batches(epoch, state.step - epoch * source.steps)
        for inputs, targets in self.timer.steps(batches):
            loss = self._step(state, model, inputs, targets)
            if not math.isfinite(loss):
                self.debugger.record_divergence(loss)
                raise diverged(state, config, loss)
            if state.step % config.log_every == 0:
                self._log_step(state, loss)
            if self.context.is_any_interrupted():
                self._save()
                raise Interrupted
            if time.monotonic() - saved >= config.checkpoint_seconds:
                self._save()
                saved = time.monotonic()
        return time.monotonic() - began

    def _open_model(self, model: nn.Module, epoch: int) -> nn.Module:
        """The model with the stages unfrozen that are trained in this epoch."""
        config = self.context.config
        stages = max(1, len(networks.stages(model)) - config.frozen)
        if config.unfreeze == "gradual":
            stages = networks.open_stage_count(epoch, config.epochs, stages)
        networks.unfreeze_stages(model, stages)
        if self.context.distributed.size == 1:
            return model
        has_unused = networks.has_auxiliary_heads(model)
        return DistributedDataParallel(model, find_unused_parameters=has_unused)

    def _step(
        self, state: TrainState, model: nn.Module, inputs: torch.Tensor, targets: torch.Tensor
    ) -> float:
        """Returns the loss. All randomness is seeded by the step, so that a resumed run repeats it.

        `inputs`: (B, 3, H, W), or (B, features) for a head; `targets`: (B,).
        """
        config, distributed = self.context.config, self.context.distributed
        state.step += 1
        rng = rng_for(config.seed, state.step, distributed.rank)
        distributed.seed(rng.getrandbits(63))
        inputs, targets = inputs.to(distributed.device), targets.to(distributed.device)
        mixed = targets
        if config.mixup or config.cutmix:
            classes = one_hot(targets, len(self.setup.dataset.labels)).float()  # (B, labels)
            inputs, mixed = mix_batch(inputs, classes, config.mixup, config.cutmix, rng)

        self.timer.mark(FORWARD)
        with self._autocast():
            logits = networks.logits(model(inputs))  # (B, labels)
            self.debugger.record_labels(targets)
            loss: torch.Tensor = self.loss(logits.float(), mixed)  # ()

        self.timer.mark(BACKWARD)
        state.optimizer.zero_grad()
        state.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]

        self.timer.mark(OPTIMIZER)
        state.optimizer_step(config, config.epochs * self.setup.source.steps)

        self.timer.mark(OTHER)
        value = float(loss.detach())
        state.record_step(value, logits, targets)
        return value

    def _log_step(self, state: TrainState, loss: float) -> None:
        (total,) = self.context.distributed.all_reduce_sum(loss)
        lr = state.optimizer.param_groups[0]["lr"]
        mean = total / self.context.distributed.size
        self.context.log(metrics.line({"step": state.step, "loss": mean, "lr": lr}))

    def _evaluate_epoch(self, state: TrainState, seconds: float) -> None:
        config, distributed = self.context.config, self.context.distributed
        epoch_metrics = state.train_metrics(distributed)
        distributed.sync_buffers(state.model)
        with state.eval_weights() as model:
            for split in self.setup.dataset.splits:
                if split != "train":
                    epoch_metrics |= self._evaluate(model, split, epoch_metrics["train_loss"])
        state.end_epoch(epoch_metrics, config.patience)
        self.context.log(metrics.line(epoch_metrics | {"seconds": seconds}))
        check_divergence(state, config, len(self.setup.dataset.labels))

    @torch.inference_mode()
    def _evaluate(self, model: nn.Module, split: str, train_loss: float) -> EpochMetrics:
        device = self.context.distributed.device
        loss = correct = images = 0.0
        for inputs, targets in self.setup.source.eval_batches(split):
            targets = targets.to(device)  # (B,)
            with self._autocast():
                logits = model(inputs.to(device)).float()  # (B, labels)
            batch_loss, batch_correct = batch_sums(logits, targets).tolist()
            loss, correct = loss + batch_loss, correct + batch_correct
            images += len(targets)
        loss, correct, images = self.context.distributed.all_reduce_sum(loss, correct, images)
        self.debugger.record_evaluation(split, loss / images, train_loss)
        return {f"{split}_loss": loss / images, f"{split}_accuracy": correct / images}

    def _autocast(self) -> torch.autocast:
        dtype = compute_dtype(self.context.config, self.context.distributed)
        device = self.context.distributed.device.type
        return torch.autocast(device, dtype, enabled=dtype != torch.float32)

    def _save(self) -> None:
        if self.context.distributed.is_main:
            self.save()


def diverged(state: TrainState, config: TrainConfig, loss: float) -> TrainingFailed:
    """For a loss that is NaN or infinite."""
    return TrainingFailed(
        f"The loss became {loss} at step {state.step}: training diverged. Lower --lr (it is "
        f"{config.lr:g}), or set --clip."
    )


def check_divergence(state: TrainState, config: TrainConfig, labels: int) -> None:
    """Raises TrainingFailed. A first epoch above the limit may recover; the last, or one that is no
    better than the epoch before it, does not.
    """
    *before, last = state.history
    chance = math.log(labels)
    is_high = min(last["train_loss"], last["validation_loss"]) > DIVERGED_FACTOR * chance
    recovers = len(state.history) < config.epochs and (
        not before or last["train_loss"] < before[-1]["train_loss"]
    )
    if is_high and not recovers:
        raise TrainingFailed(
            f"Training diverged: the mean loss of epoch {last['epoch']:g} is "
            f"{last['train_loss']:.4g}, and chance level is {chance:.2f}. Lower --lr (it is "
            f"{config.lr:g})."
        )
