"""Who learns from what: a head from features, or a network from images."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from training.config.train_config import TrainConfig
from training.data import feature_extractor, features
from training.data.dataset import Dataset
from training.data.features import Features
from training.data.loader import Images
from training.data.sampling import Source
from training.distributed import World
from training.loop.optimizer import Average, optimizer
from training.loop.state import Course
from training.model import networks
from training.model.pretrained import Start


@dataclass(frozen=True)
class Lesson:
    learner: nn.Module
    """On its device."""
    source: Source
    whole: Callable[[], nn.Module]
    """The network with what was learnt in its place."""
    engine: str
    """What the frozen layers ran on."""


def whole_network(start: Start, images: Images, world: World) -> Lesson:
    network = start.network.to(world.device).to(memory_format=torch.channels_last)
    return Lesson(network, images, lambda: network, "")


def head_alone(
    config: TrainConfig,
    start: Start,
    dataset: Dataset,
    images: Images,
    scratch: Path,
    world: World,
    go_on: Callable[[int, int], None],
) -> Lesson:
    """Computes the features first. Raises TrainingFailed for a network without a linear head."""
    network, numbers = start.network, start.preprocessing
    name = networks.head_name(network)
    head = networks.detach_head(network)
    look, engine = feature_extractor.embed_by(network, numbers.crop, world.device, exact=False)
    table = scratch / f"features-{world.local_rank}.float32"
    rows = features.compute(images, look, numbers, dataset, table, world, go_on)

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a step of a head is over before a second thread is awake

    def whole() -> nn.Module:
        torch.set_num_threads(threads)
        networks.attach_head(network, head, name)
        return network

    return Lesson(head.to(world.device), Features(rows, dataset, config, world), whole, engine)


def begun(config: TrainConfig, learner: nn.Module, world: World) -> Course:
    """A course before its first step."""
    head = learner.get_submodule(networks.head_name(learner))
    return Course(
        learner,
        optimizer(config, head, learner),
        Average(learner, config.ema) if config.ema else None,
        torch.amp.GradScaler("cuda", enabled=precision(config, world) == torch.float16),
    )


def precision(config: TrainConfig, world: World) -> torch.dtype:
    """On a CPU fp32: bf16 has not been measured there."""
    if config.precision == "fp32" or world.device.type == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(False) else torch.float16


def loss(config: TrainConfig, dataset: Dataset, world: World) -> nn.Module:
    """Balanced: each class weighs what it would with the same number of images in each."""
    weight = None
    if config.class_weights == "balanced":
        counts = torch.tensor(dataset.counts("train"), dtype=torch.float32)
        weight = (counts.sum() / (len(counts) * counts)).to(world.device)
    return nn.CrossEntropyLoss(weight, label_smoothing=config.label_smoothing)
