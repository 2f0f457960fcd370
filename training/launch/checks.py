"""What can be known of a request before anything is uploaded or started: architecture, image size,
weights, instance type, role.
"""

import difflib
import urllib.request
import warnings
from dataclasses import replace
from pathlib import Path

import boto3
import torch
from torch import nn

from serving.networks import BUNDLED, create_network
from training.config.errors import TrainingFailed
from training.config.train_config import AUTO, TrainConfig
from training.model import networks, pretrained

LABELS = 7
"""Of the network that is tried: how many there will be is known with the images only."""

ANSWER_SECONDS = 10.0


def check_instance_type(name: str, session: boto3.Session) -> None:
    """By the list that comes with boto3, which an older one may lack a new type of."""
    shape = session.client("sagemaker").meta.service_model.shape_for("TrainingInstanceType")
    known = list(getattr(shape, "enum", ()))
    if name in known:
        return
    near = difflib.get_close_matches(f"ml.{name.removeprefix('ml.')}", known, 1)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise TrainingFailed(f"SageMaker trains on no instance type {name!r}.{hint}")


def check_network(config: TrainConfig) -> nn.Module:
    """The network without values, which takes a step of images of the requested size.

    How many processes share a step's images, the job knows, and checks it again. With `arch=auto`
    every network that it compares is checked, and the last returned. Raises TrainingFailed.
    """
    if config.arch == AUTO:
        return [check_network(replace(config, arch=arch)) for arch in BUNDLED][-1]
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of slow initial values, which there are none of
        network = pretrained.make_network(config.arch, LABELS).eval()
    side, is_head = pretrained.preprocessing_of(config).crop, config.unfreeze == "head"
    networks.check_input(network, side, config.batch_size, None if is_head else config.frozen)
    if is_head:
        with torch.device("meta"):
            networks.detach_head(create_network(config.arch, LABELS))
    return network


def check_download(arch: str) -> None:
    """Whether torchvision's weights can be had from this machine, if they are needed.

    Raises TrainingFailed.
    """
    if arch == AUTO or arch in BUNDLED:
        return
    from torchvision.models import get_model_weights

    url = get_model_weights(arch).DEFAULT.url
    if Path(torch.hub.get_dir(), "checkpoints", url.rpartition("/")[2]).is_file():
        return
    try:
        with urllib.request.urlopen(
            urllib.request.Request(url, method="HEAD"), timeout=ANSWER_SECONDS
        ):
            return
    except OSError as error:
        raise TrainingFailed(
            f"The pretrained weights of {arch} cannot be downloaded here ({error}). Pass --weights "
            f"FILE, a .pth or .safetensors of them; or --weights none, to start from random ones; "
            f"or one of the networks whose weights are bundled: --arch {' or '.join(BUNDLED)}."
        ) from error
