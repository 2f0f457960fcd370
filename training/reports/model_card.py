"""What the model card says of a training run."""

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
from training.evaluation.accuracy import Judgement
from training.model.pretrained import Start

REPOSITORY = Path(__file__).parents[2]


def identity(told: TrainConfig, dataset: Dataset, start: Start) -> dict[str, str]:
    """Two runs with the same make the same model."""
    config = {name: text for name, text in told.to_strings().items() if name not in MACHINERY}
    return config | {"dataset": dataset.fingerprint, "starts from": start.origin}


def made(
    told: TrainConfig, start: Start, dataset: Dataset, final: Judgement, network: nn.Module
) -> tuple[ModelCard, bytes]:
    """The card and the weights that it names. No date: the same training makes the same bytes."""
    state = network.state_dict().items()
    weights = save({name: tensor.cpu().contiguous() for name, tensor in state})
    card = ModelCard(
        name=told.name,
        architecture=told.arch,
        labels=dataset.labels,
        preprocessing=start.preprocessing,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        metrics=final.metrics(),
        provenance={
            "dataset": dataset.fingerprint,
            "judged_on": dataset.judge,
            "sortbox": VERSION,
            "code": code_version(),
            "weights": start.origin,
            "hyperparameters": json.dumps(told.to_strings(), sort_keys=True),
        },
    )
    return card, weights


def code_version(repository: Path = REPOSITORY) -> str:
    """Of the source itself: in a container there is no repository to ask."""
    total = hashlib.sha256()
    for package in PACKAGES:
        for path in sorted((repository / package).rglob("*.py")):
            name = path.relative_to(repository).as_posix()
            if is_in_container(name):
                body = path.read_bytes()
                total.update(f"{name}\t{len(body)}\n".encode() + body)
    return f"sha256:{total.hexdigest()}"
