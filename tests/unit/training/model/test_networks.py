import pytest
import torch
from torch import nn

from serving.networks import create_network, head_name
from training.config.errors import TrainingFailed
from training.model import networks

ARCHITECTURES = [
    "efficientnet_lite0",
    "efficientnet_lite1_lite2",
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
    name = head_name(network)
    with torch.inference_mode():
        whole = network(inputs)
        head = networks.detach_head(network)
        torch.testing.assert_close(head(network(inputs)), whole)
        networks.attach_head(network, head, name)
        torch.testing.assert_close(network(inputs), whole)


def test_a_network_without_a_linear_head_says_what_to_do() -> None:
    with pytest.raises(TrainingFailed, match="--unfreeze all"):
        networks.detach_head(create_network("squeezenet1_0", 3))


@pytest.mark.parametrize("architecture", [*ARCHITECTURES[:4], "vit_b_16"])
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


@pytest.mark.parametrize("frozen", [0, 2])
def test_a_step_of_one_value_per_channel_is_refused_before_it(frozen: int) -> None:
    network = create_network("resnet18", 3)
    with pytest.raises(TrainingFailed, match=r"batch-size: .* 1 image of 32 x 32 pixels"):
        networks.check_input(network, 32, 1, frozen)
    for side, images in ((32, 2), (64, 1)):
        networks.check_input(network, side, images, frozen)


def test_layers_that_stay_frozen_need_no_second_value() -> None:
    network = create_network("resnet18", 3)
    networks.check_input(network, 32, 1, len(networks.stages(network)) - 1)
    networks.check_input(network, 32, 1, None)


@pytest.mark.parametrize(("architecture", "side"), [("alexnet", 32), ("vit_b_16", 64)])
@pytest.mark.parametrize("frozen", [0, None])
def test_images_that_do_not_fit_are_refused_before_a_step(
    architecture: str, side: int, frozen: int | None
) -> None:
    with pytest.raises(TrainingFailed, match=f"image-size: images of {side} x {side} pixels"):
        networks.check_input(create_network(architecture, 3), side, 8, frozen)


def test_trying_an_input_changes_neither_network_nor_chance() -> None:
    network = create_network("efficientnet_lite0", 3)
    before, state = (
        torch.random.get_rng_state(),
        {n: t.clone() for n, t in network.state_dict().items()},
    )
    networks.check_input(network, 64, 8, 0)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.state_dict().items())
