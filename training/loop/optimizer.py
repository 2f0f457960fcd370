"""Optimizer, learning rate schedule, and the moving average of weights."""

import math
from collections.abc import Iterable

import torch
from torch import nn
from torch.optim import SGD, AdamW, Optimizer

from training.config.train_config import TrainConfig


def make_optimizer(config: TrainConfig, head: nn.Module, network: nn.Module) -> Optimizer:
    """`network` contains `head`, or is it. A group's `peak` is its peak learning rate."""
    own = {id(parameter) for parameter in head.parameters()}
    backbone = [value for value in network.parameters() if id(value) not in own]
    groups = [
        *_groups(head.parameters(), config.lr, config.weight_decay),
        *_groups(backbone, config.lr * config.backbone_lr, config.weight_decay),
    ]
    if config.optimizer == "sgd":
        return SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=config.momentum > 0)
    return AdamW(groups, lr=config.lr)


def _groups(
    parameters: Iterable[nn.Parameter], peak: float, decay: float
) -> list[dict[str, object]]:
    """Biases and norms, which have one dimension, are not decayed."""
    values = list(parameters)
    decayed = {"params": [value for value in values if value.ndim > 1], "weight_decay": decay}
    others = {"params": [value for value in values if value.ndim <= 1], "weight_decay": 0.0}
    return [{**group, "peak": peak} for group in (decayed, others) if group["params"]]


def lr_share(step: int, total: int, warmup: float) -> float:
    """The learning rate as a share of its peak: linear warmup, then a cosine to zero.

    A function of the step alone, so that there is no scheduler to save and restore.
    """
    rise = warmup * total
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, total - rise)))


def set_lr(optimizer: Optimizer, share: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = share * group["peak"]


class EMA:
    """Exponential moving average of a module's weights and running statistics."""

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay = decay
        self.state = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self, module: nn.Module, step: int) -> None:
        """The decay starts low, because the first values are untrained."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, 1 - decay)
            else:
                self.state[name].copy_(value)

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        for name, value in state.items():
            self.state[name].copy_(value)
