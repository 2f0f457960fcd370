"""A class map is exact: its places add up to the logit."""

import numpy as np
import pytest
import torch
from torch import nn

from serving.networks import BUNDLED, create_network, head_name
from training.evaluation.class_maps import NoClassMapError, class_maps, draw

SIDE = 96


def inputs(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(0).normal(size=(count, 3, SIDE, SIDE)).astype(np.float32)


def network_of(architecture: str, labels: int) -> nn.Module:
    torch.manual_seed(0)
    network = create_network(architecture, labels).eval()
    head = network.get_submodule(head_name(network))
    assert isinstance(head, nn.Linear)
    nn.init.normal_(head.weight, std=1e3)  # random networks have tiny features
    nn.init.normal_(head.bias)
    return network


@pytest.mark.parametrize("architecture", [*BUNDLED, "resnet18"])
def test_the_places_of_a_map_add_up_to_the_logit(architecture: str) -> None:
    network, labels = network_of(architecture, 5), np.array([1, 3])
    maps = class_maps(network, inputs(2), labels)
    head = network.get_submodule(head_name(network))
    assert isinstance(head, nn.Linear)
    with torch.inference_mode():
        logits = (network(torch.from_numpy(inputs(2))) - head.bias).numpy()
    expected = logits[[0, 1], labels] - logits.mean(1)
    assert maps.shape[0] == 2
    assert maps.shape[1] == maps.shape[2] >= 3
    np.testing.assert_allclose(maps.sum((1, 2)), expected, rtol=2e-3, atol=1e-7)


class Quarters(nn.Module):
    """Its feature maps are the colours themselves, in quarters of the picture."""

    def __init__(self) -> None:
        super().__init__()
        self.shrink = nn.AvgPool2d(SIDE // 2)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(3, 3)
        nn.init.eye_(self.head.weight)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.pool(self.shrink(images)).flatten(1))
        return logits


def test_the_map_is_bright_where_the_label_is() -> None:
    picture = np.zeros((1, 3, SIDE, SIDE), np.float32)
    picture[0, 0, : SIDE // 2, : SIDE // 2] = 1  # red at the top left
    picture[0, 2, SIDE // 2 :, SIDE // 2 :] = 1  # blue at the bottom right
    red, blue = class_maps(Quarters(), picture.repeat(2, 0), np.array([0, 2]))
    assert np.unravel_index(red.argmax(), red.shape) == (0, 0)
    assert np.unravel_index(blue.argmax(), blue.shape) == (1, 1)
    assert red[1, 1] < 0, "what speaks for another label speaks against this one"


@pytest.mark.parametrize("architecture", ["squeezenet1_0", "mobilenet_v3_small"])
def test_a_network_that_ends_otherwise_has_no_map(architecture: str) -> None:
    """A map that is not exact would be believed all the same."""
    torch.manual_seed(0)
    with pytest.raises(NoClassMapError):
        class_maps(create_network(architecture, 3), inputs(1), np.array([0]))


def test_the_network_is_left_without_hooks() -> None:
    network = Quarters()
    class_maps(network, inputs(1), np.array([0]))
    assert not any(module._forward_pre_hooks for module in network.modules())


def test_a_drawing_is_coloured_where_the_map_is_positive() -> None:
    pixels = np.full((SIDE, SIDE, 3), 100, np.uint8)
    heat = np.array([[1.0, 0.0], [0.0, -1.0]], np.float32)
    drawn = draw(pixels, heat)
    assert drawn.shape == pixels.shape
    assert np.ptp(drawn[5, 5]) > 20, "coloured"
    assert (drawn[-5, -5] == 100).all(), "grey as it was"
    assert (draw(pixels, np.zeros((2, 2), np.float32)) == 100).all(), "nothing speaks for it"
