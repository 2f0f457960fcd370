"""All of a training run in one file that no interruption leaves half written, and without pickle.

Tensors by name in safetensors, everything else as JSON in its header.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from training.config.errors import TrainingFailed

NAME = "checkpoint.safetensors"
TENSOR, ITEMS = "tensor", "items"


def write(folder: Path, run: Mapping[str, str], state: Mapping[str, Any]) -> None:
    """`run`: what this run was told, to know it by."""
    tensors: dict[str, torch.Tensor] = {}
    header = {"run": json.dumps(dict(run)), "state": json.dumps(_packed(state, "", tensors))}
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{NAME}.part"
    with part.open("wb") as file:
        file.write(save(tensors, header))
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / NAME)


def read(folder: Path, run: Mapping[str, str]) -> dict[str, Any] | None:
    """The state, where a run of the same kind left one. Raises TrainingFailed for another's."""
    path = folder / NAME
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        before, packed = json.loads(header["run"]), json.loads(header["state"])
        _refuse_another(before, run, path)
        state: dict[str, Any] = _unpacked(packed, tensors)
    except (SafetensorError, ValueError, LookupError, TypeError) as error:
        raise TrainingFailed(f"{path} is not a checkpoint of training: {error}") from error
    return state


def _refuse_another(before: Mapping[str, str], now: Mapping[str, str], path: Path) -> None:
    changed = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    if changed:
        name = changed[0]
        raise TrainingFailed(
            f"{path} was left by another run: there {name} was {before.get(name)}, now it is "
            f"{now.get(name)}. Give this job a checkpoint folder of its own."
        )


def _packed(value: Any, at: str, tensors: dict[str, torch.Tensor]) -> Any:
    """JSON that names the tensors, which are collected; keys that are numbers stay numbers."""
    if isinstance(value, torch.Tensor):
        tensors[at] = value.detach().cpu().contiguous().clone()
        return {TENSOR: at}
    if isinstance(value, Mapping):
        return {
            ITEMS: [[key, _packed(each, f"{at}/{key}", tensors)] for key, each in value.items()]
        }
    if isinstance(value, list | tuple):
        return [_packed(each, f"{at}/{index}", tensors) for index, each in enumerate(value)]
    return value


def _unpacked(value: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpacked(each, tensors) for each in value]
    if isinstance(value, dict):
        if TENSOR in value:
            return tensors[value[TENSOR]]
        return {key: _unpacked(each, tensors) for key, each in value[ITEMS]}
    return value
