"""A network that starts from what others learnt, fitted with a last layer of its own."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError  # what torch raises; nothing is unpickled

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from torch import nn

from domain.model import Preprocessing
from serving.networks import EFFICIENTNET_LITE0, create_network
from training.config.errors import TrainingFailed
from training.config.train_config import TrainConfig
from training.data.folders import WEIGHTS_SUFFIXES
from training.model import bundled
from training.model.networks import outputs

NOT_PRETRAINED = "not pretrained"

State = dict[str, torch.Tensor]


@dataclass(frozen=True, slots=True)
class Start:
    network: nn.Module
    preprocessing: Preprocessing
    origin: str
    """Where the weights come from, as it stands on the card."""


def start(config: TrainConfig, labels: int, channel: Path) -> Start:
    """`channel`: the folder `weights`, which need not exist. Raises TrainingFailed."""
    torch.manual_seed(config.seed)
    network = _network(config.arch, labels)
    numbers = _resized(_preprocessing(config.arch), config.image_size)
    if config.weights == "none":
        return Start(network, numbers, NOT_PRETRAINED)
    state, origin = _pretrained(config.arch, channel)
    _fit(network, state, labels, origin)
    return Start(network, numbers, origin)


def _network(arch: str, labels: int) -> nn.Module:
    try:
        return create_network(arch, labels)
    except ValueError as error:
        raise TrainingFailed(f"Hyperparameter arch: {error}.") from error


def _preprocessing(arch: str) -> Preprocessing:
    """As the network's best published weights were judged by."""
    if arch == EFFICIENTNET_LITE0:
        return bundled.PREPROCESSING
    from torchvision.models import get_model_weights  # seconds to import

    made = get_model_weights(arch).DEFAULT.transforms()
    return Preprocessing(
        resize=made.resize_size[0],
        crop=made.crop_size[0],
        mean=tuple(made.mean),
        std=tuple(made.std),
        interpolation=made.interpolation.value,
    )


def _resized(numbers: Preprocessing, crop: int) -> Preprocessing:
    """The same margin around a square of another size."""
    if not crop:
        return numbers
    resize = round(numbers.resize * crop / numbers.crop)
    return Preprocessing(resize, crop, numbers.mean, numbers.std, numbers.interpolation)


def _pretrained(arch: str, channel: Path) -> tuple[State, str]:
    """The channel first: whoever fills it means it."""
    if channel.is_dir():
        return _from_channel(channel)
    if arch == EFFICIENTNET_LITE0:
        arrays = bundled.weights().items()
        return {name: torch.from_numpy(each.copy()) for name, each in arrays}, bundled.origin()
    return _downloaded(arch)


def _from_channel(channel: Path) -> tuple[State, str]:
    files = [each for each in sorted(channel.iterdir()) if not each.name.startswith(".")]
    if len(files) != 1 or files[0].suffix not in WEIGHTS_SUFFIXES:
        raise TrainingFailed(
            "The channel weights must hold one file, .pth or .safetensors, not "
            f"{', '.join(each.name for each in files[:5]) or 'nothing'}."
        )
    body = files[0].read_bytes()
    digest = hashlib.sha256(body).hexdigest()[:16]
    return _loaded(files[0], body), f"channel {files[0].name} sha256:{digest}"


def _loaded(path: Path, body: bytes) -> State:
    try:
        if path.suffix == ".safetensors":
            state = load_safetensors(body)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError, EOFError, LookupError) as error:
        raise TrainingFailed(f"The weights in {path.name} cannot be read: {error}") from error
    except UnpicklingError as error:
        raise TrainingFailed(
            f"{path.name} holds more than tensors by name. Save model.state_dict() and send that."
        ) from error
    if not isinstance(state, dict) or not all(isinstance(v, torch.Tensor) for v in state.values()):
        raise TrainingFailed(f"{path.name} does not hold tensors by name, as a state_dict does.")
    return state


def _downloaded(arch: str) -> tuple[State, str]:
    from torchvision.models import get_model_weights  # seconds to import

    published = get_model_weights(arch).DEFAULT
    try:
        return published.get_state_dict(progress=False, check_hash=True), f"torchvision {published}"
    except (OSError, RuntimeError) as error:  # no network; a download that is not what it should be
        raise TrainingFailed(
            f"There are no pretrained weights for {arch}. There are three ways to them: let the "
            f"job reach the network, and torchvision downloads them (it said: {error}); give the "
            "job a channel `weights` with one file in torchvision's format, .pth or .safetensors; "
            f"or use {EFFICIENTNET_LITE0}, whose weights are bundled. To start from random numbers "
            "on purpose, set weights to none."
        ) from error


def _fit(network: nn.Module, state: State, labels: int, origin: str) -> None:
    """Last layers of another number of classes are left as they are, random; all else must fit."""
    own = network.state_dict()
    free = outputs(network, labels)
    other = {n for n, t in state.items() if n in own and own[n].shape != t.shape}
    missing = set(own) - set(state) - free
    misfits = sorted((other - free) | missing | (set(state) - set(own)))
    misfits = [name for name in misfits if not name.endswith("num_batches_tracked")]
    if misfits:
        raise TrainingFailed(
            f"The weights ({origin}) are of another network: {len(misfits)} tensors do not fit, "
            f"such as {', '.join(misfits[:3])}."
        )
    fitting = {name: t for name, t in state.items() if name in own and name not in other}
    network.load_state_dict(fitting, strict=False)
