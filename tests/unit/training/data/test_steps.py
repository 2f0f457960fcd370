"""Augmentation, batches, rates and averages: all that a step is made of."""

from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from domain.model import Preprocessing
from serving import preprocess
from tests.support.builders.images import picture
from training.config.errors import TrainingFailed
from training.config.train_config import TrainConfig
from training.data import augment, sampling
from training.distributed import Distributed
from training.loop import optimizer
from training.loop.optimizer import EMA, lr_share

NUMBERS = Preprocessing(36, 32, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), "bilinear")


@pytest.mark.parametrize("operation", augment.TRIVIAL)
@pytest.mark.parametrize("strength", [-1.0, -0.3, 0.0, 0.7, 1.0])
def test_every_operation_takes_every_strength(
    operation: augment.Operation, strength: float
) -> None:
    image = operation(picture(32, 32), strength)
    assert (image.size, image.mode) == ((32, 32), "RGB")


def test_the_same_dice_alter_an_image_in_the_same_way() -> None:
    image = picture()
    one, two, other = (
        augment.augment_image(image, NUMBERS, "trivial", Random(seed)) for seed in (1, 1, 2)
    )
    assert one.shape == (32, 32, 3)
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)


def test_without_augmentation_training_sees_what_serving_sees() -> None:
    image = picture()
    seen = augment.augment_image(image, NUMBERS, "none", Random(0))
    assert np.array_equal(seen, preprocess.crop(image, NUMBERS))


@given(seed=st.integers(0, 10**6), width=st.integers(1, 300), height=st.integers(1, 300))
def test_a_random_crop_stays_inside(seed: int, width: int, height: int) -> None:
    pixels = augment.augment_image(picture(width, height), NUMBERS, "flip", Random(seed))
    assert pixels.shape == (32, 32, 3)


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0.0), (0.0, 1.0), (0.4, 1.0)])
def test_blended_targets_tell_how_much_of_each_image_is_there(mixup: float, cutmix: float) -> None:
    inputs = torch.stack([torch.full((3, 16, 16), float(value)) for value in (0, 1)])
    targets = torch.eye(2)
    for seed in range(20):
        seen, wanted = augment.mix_batch(inputs, targets, mixup, cutmix, Random(seed))
        torch.testing.assert_close(seen.mean((1, 2, 3)), wanted[:, 1])
        torch.testing.assert_close(wanted.sum(1), torch.ones(2))


def test_nothing_is_blended_unless_asked() -> None:
    inputs, targets = torch.rand(2, 3, 4, 4), torch.eye(2)
    assert augment.mix_batch(inputs, targets, 0, 0, Random(0)) == (inputs, targets)


@given(
    count=st.integers(1, 200),
    batch=st.integers(1, 12),
    size=st.integers(1, 4),
    epoch=st.integers(0, 5),
)
def test_processes_together_make_the_batches_that_one_would(
    count: int, batch: int, size: int, epoch: int
) -> None:
    if count < size:
        return
    whole, each = batch * size, [Distributed(rank, size) for rank in range(size)]
    plans = [
        list(sampling.plan_epoch(count, whole, 7, epoch, 0, distributed)) for distributed in each
    ]
    alone = list(sampling.plan_epoch(count, whole, 7, epoch, 0, Distributed()))
    assert {len(part) for plan in plans for part in plan} == {min(whole, count) // size}
    for step, parts in enumerate(zip(*plans, strict=True)):
        assert set(np.concatenate(parts)) <= set(alone[step])
    seen = np.concatenate([part for plan in plans for part in plan])
    assert len(set(seen)) == len(seen), "no image twice in an epoch"


def test_an_epoch_taken_up_in_the_middle_goes_on_where_it_was() -> None:
    whole = list(sampling.plan_epoch(40, 8, 1, 3, 0, Distributed()))
    rest = list(sampling.plan_epoch(40, 8, 1, 3, 2, Distributed()))
    assert [list(part) for part in rest] == [list(part) for part in whole[2:]]
    other = list(sampling.plan_epoch(40, 8, 1, 4, 0, Distributed()))
    assert [list(part) for part in other] != [list(part) for part in whole]


@given(count=st.integers(0, 100), size=st.integers(1, 8))
def test_every_example_is_judged_by_one_process(count: int, size: int) -> None:
    own = [sampling.own_part(count, Distributed(rank, size)) for rank in range(size)]
    assert [number for part in own for number in part] == list(range(count))
    assert sampling.part_sizes(count, Distributed(0, size)) == [len(part) for part in own]


def test_a_batch_that_cannot_be_shared_is_refused() -> None:
    with pytest.raises(TrainingFailed, match="batch-size must be a multiple of the 4 processes"):
        sampling.steps_per_epoch(100, 30, Distributed(0, 4))
    with pytest.raises(TrainingFailed, match="4 processes cannot share 3"):
        sampling.steps_per_epoch(3, 4, Distributed(0, 4))


def test_the_rate_climbs_to_its_peak_and_falls_to_nought() -> None:
    rates = [lr_share(step, 100, 0.1) for step in range(100)]
    assert rates[:10] == sorted(rates[:10])
    assert max(rates) == rates[10] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.001
    assert lr_share(0, 1, 0.0) == 1.0


def test_layers_below_the_head_learn_slower_and_biases_do_not_decay() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
    config = TrainConfig(lr=0.1, backbone_lr=0.01, weight_decay=0.5)
    made = optimizer.make_optimizer(config, network[1], network)
    optimizer.set_lr(made, 0.5)
    found = {
        tuple(group["params"][0].shape): (group["lr"], group["weight_decay"])
        for group in made.param_groups
    }
    assert found == {
        (2, 4): (0.05, 0.5),
        (2,): (0.05, 0.0),
        (4, 4): (0.0005, 0.5),
        (4,): (0.0005, 0.0),
    }


def test_an_average_follows_slowly_and_forgets_its_beginning() -> None:
    module = nn.Linear(1, 1)
    nn.init.constant_(module.weight, 0.0)
    average = EMA(module, 0.9)
    nn.init.constant_(module.weight, 1.0)
    average.update(module, 1)
    assert float(average.state["weight"]) == pytest.approx(9 / 11)
    for step in range(2, 200):
        average.update(module, step)
    assert float(average.state["weight"]) == pytest.approx(1.0, abs=1e-6)
