"""The model card of a training run."""

import hashlib
import json
from pathlib import Path

from safetensors.torch import save
from torch import nn

from domain.container import PACKAGES, is_in_container
from domain.model import ModelCard
from domain.version import VERSION
from training.config.train_config import MACHINERY, TrainConfig
from training.data.dataset import Dataset
from training.evaluation.accuracy import Evaluation
from training.model.pretrained import PretrainedModel

REPOSITORY = Path(__file__).parents[2]


def identity(config: TrainConfig, dataset: Dataset, pretrained: PretrainedModel) -> dict[str, str]:
    """Runs with the same identity make the same model."""
    strings = {name: text for name, text in config.to_strings().items() if name not in MACHINERY}
    return strings | {"dataset": dataset.fingerprint, "starts from": pretrained.origin}


def make_card(
    config: TrainConfig,
    pretrained: PretrainedModel,
    dataset: Dataset,
    evaluation: Evaluation,
    network: nn.Module,
) -> tuple[ModelCard, bytes]:
    """The card and the weights it names. It has no date: the same run makes the same bytes."""
    state = network.state_dict().items()
    weights = save({name: tensor.cpu().contiguous() for name, tensor in state})
    card = ModelCard(
        name=config.name,
        architecture=config.arch,
        labels=dataset.labels,
        preprocessing=pretrained.preprocessing,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        metrics=evaluation.metrics(),
        provenance={
            "dataset": dataset.fingerprint,
            "judged_on": dataset.test_split,
            "sortbox": VERSION,
            "code": code_version(),
            "weights": pretrained.origin,
            "hyperparameters": json.dumps(config.to_strings(), sort_keys=True),
        },
    )
    return card, weights


def code_version(repository: Path = REPOSITORY) -> str:
    """Of the source itself: in a container there is no repository to ask."""
    total = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((repository / package).rglob("*.*")):
            name = path.relative_to(repository).as_posix()
            if is_in_container(name):
                body = path.read_bytes()
                total.update(f"{name}\t{len(body)}\n".encode() + body)
    return f"sha256:{total.hexdigest()}"
