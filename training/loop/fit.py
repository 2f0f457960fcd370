"""The loop: step, judge, remember."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.functional import cross_entropy, one_hot
from torch.nn.parallel import DistributedDataParallel

from training.config import metrics
from training.config.errors import Interrupted, TrainingFailed
from training.config.metrics import Curves
from training.config.train_config import TrainConfig
from training.data.augment import blended
from training.data.sampling import Source, dice
from training.debugger.interface import Watch
from training.distributed import World
from training.loop.optimizer import rate, set_rate
from training.loop.state import Course
from training.model import networks
from training.profiler.profiler import BACKWARD, FORWARD, OPTIMIZER, OTHER
from training.profiler.timing import Timing

EXPLODED = 3.0
"""Times the loss of guessing: losses above this are wild."""


@dataclass(frozen=True)
class Loop:
    """What stays the same from the first step to the last."""

    config: TrainConfig
    source: Source
    splits: tuple[str, ...]
    """What is judged after each epoch beside train."""
    labels: int
    loss: nn.Module
    """A module, so that what watches modules from outside sees the loss too."""
    precision: torch.dtype
    world: World
    save: Callable[[], None]
    """A checkpoint."""
    interrupted: Callable[[], bool]
    say: Callable[[str], None]
    watch: Watch
    timing: Timing

    def run(self, course: Course) -> None:
        """From wherever `course` is to its end. Raises TrainingFailed or Interrupted."""
        while course.goes_on(self.config.epochs, self.config.patience):
            self._epoch(course)
            self._save()
            if any(self.world.summed(self.watch.asks_to_stop())):
                break
        course.settle()

    def _epoch(self, course: Course) -> None:
        epoch, began = len(course.history), time.monotonic()
        learner, saved = self._learner(course.module, epoch), began
        batches = self.source.training(epoch, course.step - epoch * self.source.steps)
        for inputs, targets in self.timing.steps(batches):
            loss = self._step(course, learner, inputs.to(self.world.device), targets)
            self._tell(course, loss)
            if any(self.world.summed(self.interrupted())):
                self._save()
                raise Interrupted
            if time.monotonic() - saved >= self.config.checkpoint_seconds:
                self._save()
                saved = time.monotonic()
        self._judge(course, time.monotonic() - began)

    def _save(self) -> None:
        if self.world.leads:
            self.save()

    def _learner(self, module: nn.Module, epoch: int) -> nn.Module:
        """The module, with the layers open that learn in this epoch."""
        most = max(1, len(networks.stages(module)) - self.config.frozen)
        gradual = self.config.unfreeze == "gradual"
        networks.open_stages(
            module, networks.opened(epoch, self.config.epochs, most) if gradual else most
        )
        if self.world.size == 1:
            return module
        return DistributedDataParallel(
            module, find_unused_parameters=networks.has_auxiliary_heads(module)
        )

    def _step(
        self, course: Course, learner: nn.Module, inputs: torch.Tensor, targets: torch.Tensor
    ) -> float:
        """All chance comes from the number of the step: a resumed one meets the same."""
        config, course.step = self.config, course.step + 1
        chance = dice(config.seed, course.step, self.world.rank)
        self.world.seed(chance.getrandbits(63))
        wanted = targets = targets.to(self.world.device)
        if config.mixup or config.cutmix:
            inputs, wanted = blended(
                inputs, one_hot(targets, self.labels).float(), config.mixup, config.cutmix, chance
            )
        total = config.epochs * self.source.steps
        set_rate(course.optimizer, rate(course.step - 1, total, config.warmup))
        self.timing.mark(FORWARD)
        with self._reduced():
            scores = networks.logits(learner(inputs))
            self.watch.labels(targets)
            loss = self.loss(scores.float(), wanted)
        self._move(course, loss)
        value = float(loss.detach())
        course.loss += value * len(targets)
        course.right += int((scores.argmax(1) == targets).sum())
        course.seen += len(targets)
        return value

    def _move(self, course: Course, loss: torch.Tensor) -> None:
        self.timing.mark(BACKWARD)
        course.optimizer.zero_grad()
        course.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.timing.mark(OPTIMIZER)
        course.descend(self.config.clip)
        self.timing.mark(OTHER)

    def _reduced(self) -> torch.autocast:
        enabled = self.precision != torch.float32
        return torch.autocast(self.world.device.type, self.precision, enabled=enabled)

    def _tell(self, course: Course, loss: float) -> None:
        if not math.isfinite(loss):
            self.watch.exploded(loss)
            raise diverged(course, self.config, loss)
        if course.step % self.config.log_every == 0:
            (total,) = self.world.summed(loss)
            lr = course.optimizer.param_groups[0]["lr"]
            values = {"step": course.step, "loss": total / self.world.size, "lr": lr}
            self.say(metrics.line(values))

    def _judge(self, course: Course, seconds: float) -> None:
        loss, right, seen = self.world.summed(course.loss, course.right, course.seen)
        curves: Curves = {
            "epoch": len(course.history) + 1,
            "train_loss": loss / seen,
            "train_accuracy": right / seen,
        }
        self.world.alike(course.module)
        with course.judged() as module:
            for split in self.splits:
                curves |= self._measured(module, split, curves["train_loss"])
        course.end_epoch(curves, self.config.patience)
        self.say(metrics.line(curves | {"seconds": seconds}))
        refuse_explosion(course, self.config, self.labels)

    @torch.inference_mode()
    def _measured(self, module: nn.Module, split: str, learnt: float) -> Curves:
        loss = right = seen = 0.0
        for inputs, targets in self.source.judged(split):
            targets = targets.to(self.world.device)
            with self._reduced():
                scores = module(inputs.to(self.world.device)).float()
            loss += float(cross_entropy(scores, targets, reduction="sum"))
            right += int((scores.argmax(1) == targets).sum())
            seen += len(targets)
        loss, right, seen = self.world.summed(loss, right, seen)
        self.watch.judged(split, loss / seen, learnt)
        return {f"{split}_loss": loss / seen, f"{split}_accuracy": right / seen}


def diverged(course: Course, config: TrainConfig, loss: float) -> TrainingFailed:
    """Of a step's loss that is no number any more."""
    return TrainingFailed(
        f"The loss became {loss} at step {course.step}: training diverged. Lower lr (it is "
        f"{config.lr:g}), or set clip."
    )


def refuse_explosion(course: Course, config: TrainConfig, labels: int) -> None:
    """Raises TrainingFailed. A wild first epoch may recover; one that is no better than before, or
    the last, not.
    """
    *before, last = course.history
    guess = math.log(labels)
    is_wild = min(last["train_loss"], last["validation_loss"]) > EXPLODED * guess
    recovers = len(course.history) < config.epochs and (
        not before or last["train_loss"] < before[-1]["train_loss"]
    )
    if is_wild and not recovers:
        raise TrainingFailed(
            f"The mean loss of epoch {last['epoch']:g} is {last['train_loss']:.4g}, and "
            f"guessing would have {guess:.2f}: training runs away. Lower lr (it is "
            f"{config.lr:g})."
        )
