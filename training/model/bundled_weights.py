"""The bundled weights, read without torch: PyTorch's file format of before 1.6, and nothing else.

Such a file is five pickles and then the raw values. A pickle can run anything, so this one may name
five things only, each of which is taken for data; whatever else it names is refused. PyTorch's
`torch.load(weights_only=True)` allows more, takes seconds to import, and brings gigabytes along.
Format: `torch/serialization.py`, `_legacy_load`.
"""

import pickle
from collections import OrderedDict
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domain.errors import SortboxError

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001

Array = NDArray[Any]
"""float32, but for the integers that count batches."""

Arrays = dict[str, Array]


class WeightsError(SortboxError, ValueError):
    """The file is not one of PyTorch's old format, or holds more than tensors."""


@dataclass(frozen=True, slots=True)
class Storage:
    """Values that tensors are views of; they follow behind the pickles, by `key`."""

    key: str
    dtype: np.dtype[Any]
    values: int


@dataclass(frozen=True, slots=True)
class View:
    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Float:
    dtype = np.dtype("<f4")


class _Long:
    dtype = np.dtype("<i8")


def _view(storage: Storage, offset: int, shape: Any, strides: Any, *_: Any) -> View:
    return View(storage, offset, tuple(shape), tuple(strides))


ALLOWED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _view,
    ("torch", "FloatStorage"): _Float,
    ("torch", "LongStorage"): _Long,
}


class _Tensors(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return ALLOWED[module, name]
        except KeyError:
            raise WeightsError(f"the weights name {module}.{name}, which is no tensor") from None

    def persistent_load(self, pid: Any) -> Storage:
        match pid:
            case ("storage", kind, str(key), str(), int(values), None) if kind in (_Float, _Long):
                return Storage(key, kind.dtype, values)
        raise WeightsError(f"the weights hold {pid!r}, which is no storage of floats or integers")


def read(path: Path) -> Arrays:
    """Each tensor by its name, in the file's order. Raises WeightsError."""
    with path.open("rb") as file:
        try:
            header = [_Tensors(file).load() for _ in range(3)]
            views, storages = _Tensors(file).load(), _Tensors(file).load()
        except (pickle.UnpicklingError, EOFError, IndexError, TypeError, ValueError) as error:
            raise WeightsError(f"{path.name} is not in PyTorch's old format: {error}") from error
        tensors = views.values() if isinstance(views, OrderedDict) else [None]
        known = {
            tensor.storage.key: tensor.storage for tensor in tensors if isinstance(tensor, View)
        }
        is_whole = all(isinstance(tensor, View) for tensor in tensors) and isinstance(
            storages, list
        )
        if header[:2] != [MAGIC, VERSION] or not is_whole or sorted(known) != sorted(storages):
            raise WeightsError(f"{path.name} is not in PyTorch's old format")
        values = {key: _values(file, known[key]) for key in storages}
    return {name: _tensor(values[view.storage.key], view) for name, view in views.items()}


def _values(file: BufferedReader, storage: Storage) -> Array:
    count = int.from_bytes(file.read(8), "little")
    content = file.read(count * storage.dtype.itemsize)
    if count != storage.values or len(content) != count * storage.dtype.itemsize:
        raise WeightsError("the weights end before all their values do")
    return np.frombuffer(content, storage.dtype)


def _tensor(values: Array, view: View) -> Array:
    """A copy in C's order; every value of it lies within the storage."""
    steps = list(zip(view.shape, view.strides, strict=True))
    if min((view.offset, *view.shape, *view.strides)) < 0 or len(steps) > 4:
        raise WeightsError("the weights hold a tensor of an impossible shape")
    if int(np.prod(view.shape, dtype=object)) > len(values):
        raise WeightsError("the weights hold a tensor of more values than its storage")
    last = view.offset + sum((size - 1) * step for size, step in steps)
    if 0 in view.shape or last >= len(values):
        raise WeightsError("the weights hold a tensor that reaches beyond its values")
    size = values.dtype.itemsize
    strides = [step * size for step in view.strides]
    strided = np.lib.stride_tricks.as_strided(values[view.offset :], view.shape, strides)
    return np.ascontiguousarray(strided).reshape(view.shape)
