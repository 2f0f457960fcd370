"""The checkpoint of a training run: one file, written atomically, without pickle.

Named tensors in safetensors, everything else as JSON in its header.
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

CHECKPOINT_FILE = "checkpoint.safetensors"
TENSOR, ITEMS = "tensor", "items"


def write(folder: Path, run: Mapping[str, str], state: Mapping[str, Any]) -> None:
    """`run`: the identity of this run."""
    tensors: dict[str, torch.Tensor] = {}
    header = {"run": json.dumps(dict(run)), "state": json.dumps(_pack(state, "", tensors))}
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f"{CHECKPOINT_FILE}.part"
    with part.open("wb") as file:
        file.write(save(tensors, header))
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / CHECKPOINT_FILE)


def read(folder: Path, run: Mapping[str, str]) -> dict[str, Any] | None:
    """The state, or None. Raises TrainingFailed for the checkpoint of another run."""
    path = folder / CHECKPOINT_FILE
    if not path.exists():
        return None
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata()
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        before, packed = json.loads(header["run"]), json.loads(header["state"])
        _refuse_other_run(before, run, path)
        state: dict[str, Any] = _unpack(packed, tensors)
    except (SafetensorError, ValueError, LookupError, TypeError) as error:
        raise TrainingFailed(f"{path} is not a checkpoint of training: {error}") from error
    return state


def _refuse_other_run(before: Mapping[str, str], now: Mapping[str, str], path: Path) -> None:
    changed = [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]
    if changed:
        name = changed[0]
        raise TrainingFailed(
            f"{path} was left by another run: there {name} was {before.get(name)}, now it is "
            f"{now.get(name)}. Give this job a checkpoint folder of its own."
        )


def _pack(value: Any, at: str, tensors: dict[str, torch.Tensor]) -> Any:
    """JSON that refers to tensors by name; integer keys stay integers."""
    if isinstance(value, torch.Tensor):
        tensors[at] = value.detach().cpu().contiguous().clone()
        return {TENSOR: at}
    if isinstance(value, Mapping):
        return {
            ITEMS: [[key, _pack(entry, f"{at}/{key}", tensors)] for key, entry in value.items()]
        }
    if isinstance(value, list | tuple):
        return [_pack(item, f"{at}/{index}", tensors) for index, item in enumerate(value)]
    return value


def _unpack(value: Any, tensors: Mapping[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpack(item, tensors) for item in value]
    if isinstance(value, dict):
        if TENSOR in value:
            return tensors[value[TENSOR]]
        return {key: _unpack(entry, tensors) for key, entry in value[ITEMS]}
    return value
