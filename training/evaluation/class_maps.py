"""Where in a picture a network sees what speaks for a label.

Class activation maps (Zhou et al., "Learning Deep Features for Discriminative Localization", 2016),
for networks that end in global average pooling and one linear layer. There they are no
approximation: the label's logit is the sum of the map and a constant. A network that does something
else with its last feature map is recognised by its features, which are then no means of that map.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from serving.networks import head_name
from serving.preprocess import Inputs, Pixels
from training.config.errors import TrainingFailed

TOLERANCE = 1e-3
"""Relative, between the features and the means of the feature maps."""

OPACITY = 0.6
"""Of the strongest colour."""

BRANCHES = 4
"""Of networks side by side, whose features the linear layer takes together."""


class NoClassMapError(TrainingFailed):
    """The network does not end in global average pooling and one linear layer."""


def class_maps(
    network: nn.Module, inputs: Inputs, labels: NDArray[np.int64]
) -> NDArray[np.float32]:
    """(B, h, w): what each place adds to the logit of the picture's label in `labels`, (B,), more
    than to the mean logit of all labels. Shares of a softmax depend on nothing else.

    The sum of a map is that difference, without the difference of the biases. `inputs`: (B, 3, H,
    W). Raises NoClassMapError.
    """
    network.eval()
    head = network.get_submodule(head_name(network))
    device = next(network.parameters()).device
    if not isinstance(head, nn.Linear):
        raise NoClassMapError("A network that does not end in a linear layer has no class maps.")
    with torch.inference_mode(), _watch(network, head) as watched:
        network(torch.from_numpy(inputs).to(device))
        branches = _pooled_maps(watched, head.in_features)
        weights = head.weight - head.weight.mean(0)
        weights = weights[torch.from_numpy(labels).to(device)]  # (B, features)
        side = max((maps.shape[2:] for maps in branches), key=lambda size: size[0] * size[1])
        total = torch.zeros(len(inputs), *side, device=device)
        at = 0
        for maps in branches:
            own = weights[:, at : at + maps.shape[1], None, None]
            at += maps.shape[1]
            part = (own * maps).sum(1, keepdim=True)  # (B, 1, h, w), whose mean is the logit's part
            total += _resize(part, (int(side[0]), int(side[1])))[:, 0]
        return np.asarray(total.float().cpu().numpy(), np.float32)


def draw(pixels: Pixels, heat: NDArray[np.float32]) -> Pixels:
    """The picture, (H, W, 3), with what speaks for the label in colour: the stronger, the
    brighter. What speaks against it stays as it is.
    """
    height, width = pixels.shape[:2]
    strength = cv2.resize(np.maximum(heat, 0), (width, height), interpolation=cv2.INTER_LINEAR)
    strength = np.clip(strength / max(float(strength.max()), 1e-9), 0, 1)
    levels = np.asarray(strength * 255, np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO), cv2.COLOR_BGR2RGB)
    grey = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    share = OPACITY * strength[:, :, None]
    return np.asarray(np.rint(grey * (1 - share) + colours * share), np.uint8)


class _Watched:
    """What passes through a network."""

    def __init__(self) -> None:
        self.maps: list[torch.Tensor] = []
        """Those that are pooled to one value for each channel, in order."""
        self.features = torch.empty(0)
        """What the head takes, (B, features)."""


@contextmanager
def _watch(network: nn.Module, head: nn.Linear) -> Iterator[_Watched]:
    watched = _Watched()

    def on_pooling(module: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        watched.maps.append(arguments[0])

    def on_head(module: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
        watched.features = arguments[0]

    hooks = [
        module.register_forward_pre_hook(on_pooling)
        for module in network.modules()
        if isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in (1, (1, 1))
    ]
    hooks.append(head.register_forward_pre_hook(on_head))
    try:
        yield watched
    finally:
        for hook in hooks:
            hook.remove()


def _pooled_maps(watched: _Watched, count: int) -> list[torch.Tensor]:
    """The last feature maps, whose means are the features. Raises NoClassMapError."""
    for branches in range(1, min(BRANCHES, len(watched.maps)) + 1):
        maps = watched.maps[-branches:]
        if sum(one.shape[1] for one in maps) == count and watched.features.ndim == 2:
            means = torch.cat([one.mean((2, 3)) for one in maps], 1)
            scale = float(watched.features.abs().max())
            if float((means - watched.features).abs().max()) <= TOLERANCE * max(scale, 1e-6):
                return maps
    raise NoClassMapError(
        "This network does not end in global average pooling and one linear layer, so that no "
        "place of the picture has a share of its own in the answer."
    )


def _resize(part: torch.Tensor, side: tuple[int, int]) -> torch.Tensor:
    """(B, 1, h, w) to this size, so that the sum is what the mean was."""
    mean = part.mean((2, 3), keepdim=True)
    resized = functional.interpolate(part, side, mode="bilinear", align_corners=False)
    resized += mean - resized.mean((2, 3), keepdim=True)
    return resized / (side[0] * side[1])
