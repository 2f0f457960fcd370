"""Create networks by the architecture's name on the model card."""

from difflib import get_close_matches

from efficientnet_lite_pytorch import EfficientNet
from torch import nn

EFFICIENTNET_LITE0 = "efficientnet_lite0"


def create_network(architecture: str, labels: int) -> nn.Module:
    """A network with random weights and `labels` outputs. Raises ValueError for an unknown name."""
    if architecture == EFFICIENTNET_LITE0:
        network: nn.Module = EfficientNet.from_name("efficientnet-lite0", num_classes=labels)
        return network
    return _create_torchvision(architecture, labels)


def _create_torchvision(architecture: str, labels: int) -> nn.Module:
    from torchvision import models  # takes seconds, and the bundled model does not need it

    names = models.list_models(module=models)
    if architecture not in names:
        near = get_close_matches(architecture, [EFFICIENTNET_LITE0, *names], 3)
        hint = f": did you mean {' or '.join(near)}?" if near else "."
        raise ValueError(
            f"{architecture!r} is neither {EFFICIENTNET_LITE0} nor a torchvision classifier{hint}"
        )
    network: nn.Module = models.get_model(architecture, weights=None, num_classes=labels)
    return network
