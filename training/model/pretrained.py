"""A network with pretrained weights and a new head."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError  # what torch raises; nothing is unpickled

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import nn

from domain.model import Preprocessing
from serving.networks import BUNDLED, create_network
from training.config.errors import TrainingFailed
from training.config.train_config import TrainConfig
from training.data.folders import WEIGHTS_SUFFIXES
from training.model import bundled
from training.model.networks import head_parameters

NOT_PRETRAINED = "not pretrained"

State = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class PretrainedModel:
    network: nn.Module
    preprocessing: Preprocessing
    origin: str
    """Of the weights, as on the model card."""


def load_pretrained(config: TrainConfig, labels: int, channel: Path) -> PretrainedModel:
    """`channel`: the folder `weights`, which may be absent. Raises TrainingFailed."""
    torch.manual_seed(config.seed)
    network = make_network(config.arch, labels)
    preprocessing = preprocessing_of(config)
    if config.weights == "none":
        return PretrainedModel(network, preprocessing, NOT_PRETRAINED)
    state, origin = _pretrained(config.arch, channel)
    network.load_state_dict(_fitting(network, state, labels, origin), strict=False)
    return PretrainedModel(network, preprocessing, origin)


def preprocessing_of(config: TrainConfig) -> Preprocessing:
    return _resize(_preprocessing(config.arch), config.image_size)


def check_weights(path: Path, network: nn.Module, labels: int) -> None:
    """Raises TrainingFailed for a file that does not hold weights of this network, or for none."""
    if not path.is_file():
        raise TrainingFailed(
            f"There is no weights file at {path}: --weights is a file, s3://…, pretrained or none."
        )
    if path.suffix not in WEIGHTS_SUFFIXES:
        raise TrainingFailed(f"{path} must be one of {', '.join(sorted(WEIGHTS_SUFFIXES))}.")
    _fitting(network, _read_file(path, path.read_bytes()), labels, str(path))


def make_network(arch: str, labels: int) -> nn.Module:
    """Raises TrainingFailed for an unknown name."""
    try:
        return create_network(arch, labels)
    except ValueError as error:
        raise TrainingFailed(f"Hyperparameter arch: {error}") from error


def _preprocessing(arch: str) -> Preprocessing:
    """The preprocessing of the network's best published weights."""
    if arch in bundled.NETWORKS:
        return bundled.NETWORKS[arch].preprocessing
    from torchvision.models import get_model_weights  # seconds to import

    made = get_model_weights(arch).DEFAULT.transforms()
    return Preprocessing(
        resize=made.resize_size[0],
        crop=made.crop_size[0],
        mean=tuple(made.mean),
        std=tuple(made.std),
        interpolation=made.interpolation.value,
    )


def _resize(preprocessing: Preprocessing, crop: int) -> Preprocessing:
    """The same margin around a square of another size."""
    if not crop:
        return preprocessing
    resize = round(preprocessing.resize * crop / preprocessing.crop)
    return Preprocessing(
        resize, crop, preprocessing.mean, preprocessing.std, preprocessing.interpolation
    )


def _pretrained(arch: str, channel: Path) -> tuple[State, str]:
    """From the channel if there is one, else bundled, else downloaded."""
    if channel.is_dir():
        return _read_channel(channel)
    if arch in bundled.NETWORKS:
        arrays = bundled.weights(arch).items()
        state = {name: torch.from_numpy(value.copy()) for name, value in arrays}
        return state, bundled.origin(arch)
    return _download(arch)


def _read_channel(channel: Path) -> tuple[State, str]:
    files = [file for file in sorted(channel.iterdir()) if not file.name.startswith(".")]
    if len(files) != 1 or files[0].suffix not in WEIGHTS_SUFFIXES:
        raise TrainingFailed(
            "The channel weights must hold one file, .pth or .safetensors, not "
            f"{', '.join(file.name for file in files[:5]) or 'nothing'}."
        )
    body = files[0].read_bytes()
    digest = hashlib.sha256(body).hexdigest()[:16]
    return _read_file(files[0], body), f"channel {files[0].name} sha256:{digest}"


def _read_file(path: Path, body: bytes) -> State:
    try:
        if path.suffix == ".safetensors":
            state = load_safetensors(body)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, LookupError) as error:
        raise TrainingFailed(f"The weights in {path.name} cannot be read: {error}") from error
    except UnpicklingError as error:
        raise TrainingFailed(
            f"{path.name} holds more than named tensors. Save model.state_dict() and use that file."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise TrainingFailed(f"{path.name} is not a state_dict: it must map names to tensors.")
    return state


def _download(arch: str) -> tuple[State, str]:
    from torchvision.models import get_model_weights  # seconds to import

    published = get_model_weights(arch).DEFAULT
    try:
        return published.get_state_dict(progress=False, check_hash=True), f"torchvision {published}"
    except (OSError, RuntimeError) as error:  # no network, or a corrupt download
        raise TrainingFailed(
            f"There are no pretrained weights for {arch}. Three ways to provide them: give the job "
            f"network access, so that torchvision downloads them (its error: {error}); add a "
            "channel `weights` with one file in torchvision's format, .pth or .safetensors; or use "
            f"{' or '.join(BUNDLED)}, whose weights are bundled. To start from random weights, set "
            "weights to none."
        ) from error


def _fitting(network: nn.Module, state: State, labels: int, origin: str) -> State:
    """The tensors to load. Heads for another number of classes stay random; all others must fit.

    Raises TrainingFailed.
    """
    own = network.state_dict()
    free = head_parameters(network, labels)
    reshaped = {n for n, t in state.items() if n in own and own[n].shape != t.shape}
    missing = set(own) - set(state) - free
    misfits = sorted((reshaped - free) | missing | (set(state) - set(own)))
    misfits = [name for name in misfits if not name.endswith("num_batches_tracked")]
    if misfits:
        raise TrainingFailed(
            f"The weights ({origin}) belong to another network: {len(misfits)} tensors do not fit, "
            f"such as {', '.join(misfits[:3])}."
        )
    return {name: t for name, t in state.items() if name in own and name not in reshaped}
