"""Heads that learn side by side from one table of features.

Those that take the same batches share one matrix product forward and one backward. All else is each
head's own, by the code that a head alone learns by: optimizer, clipping, average, best epoch.
"""

import math
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from training.config import metrics
from training.config.errors import TrainingFailed
from training.config.metrics import Curves
from training.config.train_config import TrainConfig
from training.data.augment import blended
from training.data.dataset import Dataset
from training.data.features import Features
from training.data.sampling import Batch, dice
from training.distributed import World
from training.loop import fit
from training.loop.optimizer import rate, set_rate
from training.loop.state import Course


@dataclass
class Head:
    """A trial as it goes."""

    number: int
    told: TrainConfig
    course: Course
    loss: nn.Module
    failure: str = ""

    @property
    def module(self) -> nn.Linear:
        assert isinstance(self.course.module, nn.Linear)
        return self.course.module

    @property
    def goes_on(self) -> bool:
        return not self.failure and self.course.goes_on(self.told.epochs, self.told.patience)

    def line(self, values: Curves) -> str:
        """With names that are no metrics of the job: only the best is its result."""
        return metrics.line({f"{self.number}:{name}": each for name, each in values.items()})

    def move(
        self, steps: int, loss: torch.Tensor, scores: torch.Tensor, targets: torch.Tensor
    ) -> None:
        """One step, along gradients that are there. `steps`: in an epoch."""
        course, value = self.course, float(loss.detach())
        course.step += 1
        if not math.isfinite(value):
            self.failure = str(fit.diverged(course, self.told, value))
            return
        set_rate(
            course.optimizer, rate(course.step - 1, self.told.epochs * steps, self.told.warmup)
        )
        course.descend(self.told.clip)
        course.loss += value * len(targets)
        course.right += int((scores.argmax(1) == targets).sum())
        course.seen += len(targets)

    def end_epoch(self, curves: Curves, labels: int) -> None:
        self.course.end_epoch(curves, self.told.patience)
        try:
            fit.refuse_explosion(self.course, self.told, labels)
        except TrainingFailed as failure:
            self.failure = str(failure)


@dataclass(frozen=True)
class SideBySide:
    told: TrainConfig
    """What the heads have in common."""
    features: Features
    dataset: Dataset
    world: World
    go_on: Callable[[], None]
    """Called each epoch, and may raise."""
    say: Callable[[str], None]

    def learn(self, heads: Sequence[Head]) -> None:
        """To the end of each. They have one batch size."""
        features = self.features.told(heads[0].told)
        while active := [head for head in heads if head.goes_on]:
            self.go_on()
            began, epoch = time.monotonic(), len(active[0].course.history)
            for inputs, targets in features.training(epoch, 0):
                self._step(active, features.steps, inputs, targets)
                active = [head for head in active if not head.failure]
                if not active:
                    return
            self._judge(active, features, began)

    def _step(
        self, heads: Sequence[Head], steps: int, inputs: torch.Tensor, targets: torch.Tensor
    ) -> None:
        """As the loop makes it: all chance comes from the seed and the number of the step."""
        inputs, targets = inputs.to(self.world.device), targets.to(self.world.device)
        mixed, wanted = self._mixed(inputs, targets, heads[0].course.step + 1)
        scores = _scores([head.module for head in heads], mixed)
        losses = [head.loss(own, wanted) for head, own in zip(heads, scores, strict=True)]
        for head in heads:
            head.course.optimizer.zero_grad()
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        for head, own, loss in zip(heads, scores, losses, strict=True):
            head.move(steps, loss, own, targets)

    def _mixed(self, inputs: torch.Tensor, targets: torch.Tensor, step: int) -> Batch:
        if not self.told.mixup:
            return inputs, targets
        chance = dice(self.told.seed, step, self.world.rank)
        chance.getrandbits(63)  # the loop's, for torch
        every = functional.one_hot(targets, len(self.dataset.labels)).float()
        return blended(inputs, every, self.told.mixup, 0, chance)

    def _judge(self, heads: Sequence[Head], features: Features, began: float) -> None:
        with ExitStack() as stack:
            modules = [stack.enter_context(head.course.judged()) for head in heads]
            found = [_learnt(head.course) for head in heads]
            for split in self.dataset.splits:
                if split != "train":
                    self._measure(modules, features.judged(split), split, found)
        for head, curves in zip(heads, found, strict=True):
            head.end_epoch(curves, len(self.dataset.labels))
            self.say(head.line(curves | {"seconds": time.monotonic() - began}))

    @torch.inference_mode()
    def _measure(
        self,
        modules: Sequence[nn.Module],
        batches: Iterable[Batch],
        split: str,
        found: Sequence[Curves],
    ) -> None:
        """Adds the split's loss and accuracy to what is `found` of each head."""
        sums, seen = torch.zeros(2, len(modules), dtype=torch.float64), 0
        for inputs, targets in batches:
            targets, seen = targets.to(self.world.device), seen + len(targets)
            every = _scores(modules, inputs.to(self.world.device))
            for number, scores in enumerate(every):
                sums[0, number] += functional.cross_entropy(scores, targets, reduction="sum").cpu()
                sums[1, number] += (scores.argmax(1) == targets).sum().cpu()
        for number, curves in enumerate(found):
            loss, right = (sums[:, number] / seen).tolist()
            curves.update({f"{split}_loss": loss, f"{split}_accuracy": right})


def _learnt(course: Course) -> Curves:
    return {
        "epoch": len(course.history) + 1,
        "train_loss": course.loss / course.seen,
        "train_accuracy": course.right / course.seen,
    }


def _scores(modules: Sequence[nn.Module], inputs: torch.Tensor) -> Sequence[torch.Tensor]:
    """(images, labels) of each head, from one product for all."""
    heads = [module for module in modules if isinstance(module, nn.Linear)]
    weights = torch.cat([head.weight.view_as(head.weight) for head in heads])
    biases = [head.bias.view_as(head.bias) for head in heads if head.bias is not None]
    bias = torch.cat(biases) if biases else None
    return torch.split(functional.linear(inputs, weights, bias), heads[0].out_features, 1)
