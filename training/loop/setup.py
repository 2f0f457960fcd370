"""What is trained on what: a head on features, or a network on images."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from domain.class_folders import WEIGHTS
from serving.networks import head_name
from training.config.errors import Interrupted
from training.config.train_config import TrainConfig
from training.context import TrainContext
from training.data import features
from training.data.dataset import Dataset
from training.data.feature_extractor import make_extractor
from training.data.features import Features
from training.data.loader import Images
from training.data.sampling import BatchSource
from training.distributed import Distributed
from training.findings.in_training import Measured, why_not
from training.findings.pictures import PictureTable
from training.loop.optimizer import EMA, make_optimizer
from training.loop.state import TrainState
from training.model import networks
from training.model.pretrained import PretrainedModel, load_pretrained

PROGRESS_IMAGES = 1024
"""Images between two lines of the log while features are computed."""


@dataclass(frozen=True)
class TrainSetup:
    model: nn.Module
    """The whole network, or its head alone; on its device."""
    source: BatchSource
    dataset: Dataset
    assemble_network: Callable[[], nn.Module]
    """Returns the whole network with the trained layers in place."""
    engine: str = ""
    """What the frozen layers ran on."""
    measured: Measured | None = None
    """Of all images, for the findings of the report; None where the head's training has not seen
    all of them, or the data are not checked."""


def load_network(context: TrainContext, dataset: Dataset) -> PretrainedModel:
    """With initial weights. Raises TrainingFailed for a network that these images do not fit."""
    config, distributed = context.config, context.distributed
    pretrained = load_pretrained(config, len(dataset.labels), context.paths.channels / WEIGHTS)
    networks.check_input(
        pretrained.network,
        pretrained.preprocessing.crop,
        min(config.batch_size, len(dataset.splits["train"])) // distributed.size,
        None if config.unfreeze == "head" else config.frozen,
    )
    origin, device = pretrained.origin, distributed.device
    context.log(f"{config.arch}, {origin}, on {device}; trains: {config.unfreeze}")
    return pretrained


def make_setup(
    context: TrainContext, pretrained: PretrainedModel, images: Images, scratch: Path
) -> TrainSetup:
    """Of what `unfreeze` says. Raises as `setup_head` does."""
    if context.config.unfreeze != "head":
        return setup_network(context, pretrained, images)
    setup = setup_head(context, pretrained, images, scratch)
    context.log(f"features computed with {setup.engine}")
    return setup


def setup_network(context: TrainContext, pretrained: PretrainedModel, images: Images) -> TrainSetup:
    network = pretrained.network.to(context.distributed.device)
    network = network.to(memory_format=torch.channels_last)
    return TrainSetup(network, images, images.dataset, lambda: network)


def setup_head(
    context: TrainContext,
    pretrained: PretrainedModel,
    images: Images,
    scratch: Path,
    pace: Callable[[int, int], None] = lambda completed, total: None,
) -> TrainSetup:
    """Computes the features first. Raises TrainingFailed for a network without a linear head.

    `pace(completed, total)` is called after each pass, and may raise to give the network up.
    """
    network, distributed = pretrained.network, context.distributed
    name = head_name(network)
    head = networks.detach_head(network)
    side = pretrained.preprocessing.crop
    extract, engine = make_extractor(network, side, distributed.device, exact=False)

    def on_progress(completed: int, total: int) -> None:
        if context.is_any_interrupted():
            raise Interrupted
        pace(completed, total)
        if completed == total or completed % PROGRESS_IMAGES == 0:
            context.log(f"features of {completed} of {total} images")

    dataset = images.dataset
    is_checked = distributed.size == 1 and not why_not(context.config, dataset)
    pictures = PictureTable.of(dataset) if is_checked else None
    table = scratch / f"features-{distributed.local_rank}.float32"
    rows = features.compute(  # (N, features)
        images, extract, table, distributed, on_progress, pictures.record if pictures else None
    )

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # a step of a head is shorter than waking a second thread

    def assemble_network() -> nn.Module:
        torch.set_num_threads(threads)
        networks.attach_head(network, head, name)
        return network

    source = Features(rows, dataset, context.config, distributed)
    model = head.to(distributed.device)
    measured = Measured(pictures, rows) if pictures else None
    return TrainSetup(model, source, dataset, assemble_network, engine, measured)


def initial_state(config: TrainConfig, model: nn.Module, distributed: Distributed) -> TrainState:
    """Before the first step."""
    head = model.get_submodule(head_name(model))
    uses_fp16 = compute_dtype(config, distributed) == torch.float16
    return TrainState(
        model,
        make_optimizer(config, head, model),
        EMA(model, config.ema) if config.ema else None,
        torch.amp.GradScaler("cuda", enabled=uses_fp16),
    )


def compute_dtype(config: TrainConfig, distributed: Distributed) -> torch.dtype:
    """fp32 on a CPU: bf16 has not been measured there."""
    if config.precision == "fp32" or distributed.device.type == "cpu":
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported(False) else torch.float16


def make_loss(config: TrainConfig, dataset: Dataset, distributed: Distributed) -> nn.Module:
    """A module, so that a hook on modules sees the loss too. Balanced: every class has the weight
    that it would have if all classes had the same number of images.
    """
    weight = None
    if config.class_weights == "balanced":
        counts = torch.tensor(dataset.counts("train"), dtype=torch.float32)  # (labels,)
        weight = (counts.sum() / (len(counts) * counts)).to(distributed.device)
    return nn.CrossEntropyLoss(weight, label_smoothing=config.label_smoothing)
