"""How weights move: which learn how fast, the rate over time, and their running average."""

import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from training.config.train_config import TrainConfig


def optimizer(config: TrainConfig, head: nn.Module, network: nn.Module) -> Optimizer:
    """`network` holds `head`, or is it. Each group's `peak` is its step size at its largest."""
    own = {id(parameter) for parameter in head.parameters()}
    below = [each for each in network.parameters() if id(each) not in own]
    groups = [
        *_groups(head.parameters(), config.lr, config.weight_decay),
        *_groups(below, config.lr * config.backbone_lr, config.weight_decay),
    ]
    if config.optimizer == "sgd":
        return SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=config.momentum > 0)
    return AdamW(groups, lr=config.lr)


def _groups(
    parameters: Iterable[nn.Parameter], peak: float, decay: float
) -> list[dict[str, object]]:
    every = list(parameters)
    weights = [each for each in every if each.ndim > 1]
    others = [each for each in every if each.ndim <= 1]
    pairs = ((weights, decay), (others, 0.0))
    return [{"params": some, "peak": peak, "weight_decay": each} for some, each in pairs if some]


def rate(step: int, total: int, warmup: float) -> float:
    """The share of its peak at which a step is made: a climb, then half a cosine down to nought.

    A function of the step alone, so that there is no scheduler to save and restore.
    """
    climb = warmup * total
    if step < climb:
        return (step + 1) / (climb + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - climb) / max(1, total - climb)))


def set_rate(optimizer: Optimizer, share: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = share * group["peak"]


class Average:
    """Exponential moving average of a module's weights and running statistics."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self.state = {name: each.detach().clone() for name, each in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """A young average forgets faster: its first values are those of no training at all."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        for name, value in state.items():
            self.state[name].copy_(value)
