"""Create networks by the architecture's name on the model card, and split them at their head."""

from difflib import get_close_matches

import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import nn
from torch.nn import functional

EFFICIENTNET_LITE0 = "efficientnet_lite0"
EFFICIENTNET_LITE1 = "efficientnet_lite1"
EFFICIENTNET_LITE2 = "efficientnet_lite2"
EFFICIENTNET_LITE1_LITE2 = "efficientnet_lite1_lite2"

BUNDLED = (EFFICIENTNET_LITE0, EFFICIENTNET_LITE1, EFFICIENTNET_LITE2, EFFICIENTNET_LITE1_LITE2)
"""Networks whose ImageNet weights are Python packages (`training.model.bundled`)."""

LITE1_SIDE, LITE2_SIDE = 240, 260
"""Of the square images that EfficientNet-Lite1 and Lite2 were trained on."""


class JoinedNetwork(nn.Module):
    """EfficientNet-Lite1 and Lite2 side by side, with one linear layer on the features of both.

    (B, 3, H, W) normalised images to (B, labels). The images have the size for Lite2; Lite1 sees
    the same field of view, reduced within the network to 240/260 of the side.
    """

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.lite1, features1 = _without_head(EFFICIENTNET_LITE1)
        self.lite2, features2 = _without_head(EFFICIENTNET_LITE2)
        self.head = nn.Linear(features1 + features2, labels)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        side = max(1, int(images.shape[-1]) * LITE1_SIDE // LITE2_SIDE)
        smaller = functional.interpolate(images, (side, side), mode="bilinear", align_corners=False)
        features = torch.cat([self.lite1(smaller), self.lite2(images)], 1)  # (B, 2560)
        logits: torch.Tensor = self.head(features)
        return logits


def create_network(architecture: str, labels: int) -> nn.Module:
    """A network with random weights and `labels` outputs. Raises ValueError for an unknown name."""
    if architecture == EFFICIENTNET_LITE1_LITE2:
        return JoinedNetwork(labels)
    if architecture in BUNDLED:
        return _efficientnet_lite(architecture, labels)
    return _create_torchvision(architecture, labels)


def _efficientnet_lite(architecture: str, labels: int) -> nn.Module:
    """The package writes a hyphen where our names have an underscore."""
    name = architecture.replace("_", "-")
    network: nn.Module = EfficientNet.from_name(name, num_classes=labels)
    return network


def _without_head(architecture: str) -> tuple[nn.Module, int]:
    """The network up to its features, and their number."""
    network = _efficientnet_lite(architecture, 1)
    head = network.get_submodule("_fc")
    assert isinstance(head, nn.Linear)
    network.set_submodule("_fc", nn.Identity())
    return network, head.in_features


def _create_torchvision(architecture: str, labels: int) -> nn.Module:
    from torchvision import models  # takes seconds, and the bundled model does not need it

    names = models.list_models(module=models)
    if architecture not in names:
        near = get_close_matches(architecture, [*BUNDLED, *names], 3)
        hint = f": did you mean {' or '.join(near)}?" if near else "."
        raise ValueError(
            f"{architecture!r} is neither {' nor '.join(BUNDLED)} nor a torchvision classifier"
            f"{hint}"
        )
    network: nn.Module = models.get_model(architecture, weights=None, num_classes=labels)
    return network


class SplitNetwork(nn.Module):
    """A network in two parts, for one pass that gives the head's input beside the logits.

    Takes `network` apart. Inputs to logits (images, labels) and features (images, features), which
    are None for a network that does not end in a linear layer.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        name = head_name(network)
        head = network.get_submodule(name) if name else None
        self.head = head if isinstance(head, nn.Linear) else None
        if self.head is not None:
            network.set_submodule(name, nn.Identity())
        self.backbone = network

    def forward(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        features: torch.Tensor = self.backbone(inputs)
        return (features, None) if self.head is None else (self.head(features), features)


def head_name(network: nn.Module) -> str:
    """The name of the last layer with weights; "" if there is none, or if it is `network` itself.

    It comes last in every torchvision classifier.
    """
    names = [name for name, module in network.named_modules() if output_width(module)]
    return names[-1] if names else ""


def output_width(module: nn.Module) -> int | None:
    """Of a layer with weights; None for other modules."""
    if isinstance(module, nn.Linear):
        return module.out_features
    return module.out_channels if isinstance(module, nn.Conv2d) else None
