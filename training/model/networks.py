"""The head of a network, the stages below it, and the order in which they are unfrozen."""

from collections.abc import Iterator
from copy import deepcopy

import torch
from torch import nn

from serving.networks import head_name, output_width
from training.config.errors import TrainingFailed

MAX_STAGE_SHARE = 0.5
"""A block with more than this share of all parameters is split into several stages."""


def head_parameters(network: nn.Module, labels: int) -> set[str]:
    """The names of the parameters of layers with one output per label, auxiliary heads included."""
    return {
        f"{name}.{kind}"
        for name, module in network.named_modules()
        if output_width(module) == labels
        for kind, _ in module.named_parameters()
    }


def detach_head(network: nn.Module) -> nn.Linear:
    """Replace the head by the identity, so that the network returns features (B, features).

    Raises TrainingFailed for a head that is not linear.
    """
    name = head_name(network)
    head = network.get_submodule(name)
    if not isinstance(head, nn.Linear):
        raise TrainingFailed(
            "Hyperparameter unfreeze: this network does not end in a linear layer, so that its "
            "head alone cannot be trained. Use --unfreeze all."
        )
    network.set_submodule(name, nn.Identity())
    return head


def attach_head(network: nn.Module, head: nn.Linear, name: str) -> None:
    network.set_submodule(name, head)


def stages(network: nn.Module) -> list[list[nn.Module]]:
    """Modules with weights from input to output, the head alone in the last stage."""
    head = network.get_submodule(head_name(network))
    total = _size(network)
    return [[module] for module in _blocks(network, total) if module is not head] + [[head]]


def unfreeze_stages(network: nn.Module, count: int) -> None:
    """Train the last `count` stages; freeze the others, running statistics included."""
    all_stages = stages(network)
    network.train().requires_grad_(count >= len(all_stages))
    for number, modules in enumerate(all_stages):
        learns = number >= len(all_stages) - count
        for module in modules:
            module.train(learns).requires_grad_(learns)


def check_input(network: nn.Module, side: int, images: int, frozen: int | None) -> None:
    """Raises TrainingFailed where a step of `images` of `side` pixels would fail within a layer.

    Tried on a copy, before any step: batch normalisation needs two values per channel, and a layer
    may be larger than what reaches it. The network may be without values, on the device `meta`.
    `frozen`: as in `train_config`; None if the head alone is trained, on features.
    """
    probe = deepcopy(network).eval()
    if frozen is not None:
        unfreeze_stages(probe, max(1, len(stages(probe)) - frozen))
    size, device = f"{side} x {side} pixels", next(probe.parameters()).device
    try:
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            probe(torch.zeros(min(max(images, 1), 2), 3, side, side, device=device))
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise TrainingFailed(
            f"Hyperparameter batch-size: a process trains on {images} image of {size} at a time, "
            "of which batch normalisation has one value per channel and needs two. Use a larger "
            "--batch-size or --image-size, or --unfreeze head."
        ) from error
    except (RuntimeError, AssertionError) as error:
        raise TrainingFailed(
            f"Hyperparameter image-size: images of {size} do not fit this network ({error}). Use "
            "another image-size."
        ) from error


def open_stage_count(epoch: int, epochs: int, total: int) -> int:
    """Stages of `total` that are trained in an epoch: the head first, all from half way on."""
    return min(total, 1 + round((total - 1) * epoch / max(1, epochs // 2)))


def has_auxiliary_heads(network: nn.Module) -> bool:
    return any("aux" in name.lower() for name, _ in network.named_modules())


def logits(output: object) -> torch.Tensor:
    """GoogLeNet and Inception return auxiliary outputs too in training mode."""
    if isinstance(output, torch.Tensor):
        return output
    answer = output.logits  # type: ignore[attr-defined]
    assert isinstance(answer, torch.Tensor)
    return answer


def _blocks(module: nn.Module, total: int) -> Iterator[nn.Module]:
    for child in module.children():
        if _size(child) > MAX_STAGE_SHARE * total and any(True for _ in child.children()):
            yield from _blocks(child, total)
        elif _size(child):
            yield child


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
