"""PyTorch's engine for a model that is not packed yet."""

import tempfile
from pathlib import Path

import torch

from domain.archive import WEIGHTS
from domain.model import ModelCard
from serving.archive import Archive
from serving.engines import Engine
from serving.engines.pytorch import PyTorch


def torch_engine(card: ModelCard, weights: bytes) -> Engine:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / WEIGHTS).write_bytes(weights)
        return PyTorch(Archive(card, Path(folder)), torch.get_num_threads())
