import pytest
import torch
from torch import nn

from serving.networks import create_network
from training.config.errors import TrainingFailed
from training.model import networks

ARCHITECTURES = [
    "efficientnet_lite0",
    "resnet18",
    "mobilenet_v3_small",
    "shufflenet_v2_x0_5",
    "densenet121",
    "convnext_tiny",
]
"""Each names and nests its last layer in another way."""


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_head_comes_off_and_the_features_feed_it(architecture: str) -> None:
    network = create_network(architecture, 3).eval()
    inputs = torch.rand(2, 3, 64, 64)
    name = networks.head_name(network)
    with torch.inference_mode():
        whole = network(inputs)
        head = networks.detach_head(network)
        torch.testing.assert_close(head(network(inputs)), whole)
        networks.attach_head(network, head, name)
        torch.testing.assert_close(network(inputs), whole)


def test_a_network_without_a_linear_head_says_what_to_do() -> None:
    with pytest.raises(TrainingFailed, match="unfreeze=all"):
        networks.detach_head(create_network("squeezenet1_0", 3))


@pytest.mark.parametrize("architecture", [*ARCHITECTURES[:3], "vit_b_16"])
def test_layers_open_from_the_head_down(architecture: str) -> None:
    network = create_network(architecture, 3)
    every = networks.stages(network)
    assert len(every) > 4, "one step of unfreezing must not open everything"
    learning = []
    for count in range(1, len(every) + 1):
        networks.unfreeze_stages(network, count)
        learning.append(sum(p.numel() for p in network.parameters() if p.requires_grad))
    assert learning == sorted(learning)
    assert learning[0] == sum(p.numel() for p in every[-1][0].parameters())
    assert learning[-1] == sum(p.numel() for p in network.parameters())


def test_statistics_of_frozen_layers_stand_still() -> None:
    network = create_network("resnet18", 3)
    before = {name: value.clone() for name, value in network.named_buffers()}
    networks.unfreeze_stages(network, 2)
    network(torch.rand(4, 3, 64, 64))
    moved = {name for name, value in network.named_buffers() if not value.equal(before[name])}
    assert moved
    assert all(name.startswith("layer4") for name in moved)


def test_unfreezing_begins_with_the_head_and_is_done_half_way() -> None:
    assert [networks.open_stage_count(epoch, 8, 9) for epoch in range(8)] == [
        1,
        3,
        5,
        7,
        9,
        9,
        9,
        9,
    ]
    assert networks.open_stage_count(0, 1, 9) == 1


def test_a_head_alone_is_a_network_of_one_stage() -> None:
    head = nn.Linear(4, 2)
    assert networks.stages(head) == [[head]]
    networks.unfreeze_stages(head, 1)
    assert head.weight.requires_grad
