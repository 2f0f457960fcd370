"""What a frozen backbone says of each image, computed once and reused by every epoch.

The table lies on disk, float32 and mapped into memory: 1,280 numbers an image of EfficientNet-Lite0
are 5 GB for a million images, of which the system keeps in memory what there is room for.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from domain.model import Preprocessing
from serving import preprocess
from serving.preprocess import Inputs
from training.config.train_config import TrainConfig
from training.data.dataset import Dataset
from training.data.loader import Images
from training.data.sampling import Batch, part, parts, planned, steps
from training.distributed import World

AT_ONCE = 32
"""Images a pass, over all processes."""

JUDGED = 1024
"""Rows a batch that only looks."""

Rows = NDArray[np.float32]
Embed = Callable[[Inputs], Rows]
"""(images, 3, side, side) to (images, features)."""


class Features:
    """The head's input."""

    def __init__(self, table: Rows, dataset: Dataset, config: TrainConfig, world: World) -> None:
        self._table = table
        self._dataset = dataset
        self._config = config
        self._world = world
        self._first = _firsts(dataset)
        self._labels = {
            split: np.array([example.label for example in examples])
            for split, examples in dataset.splits.items()
        }
        self.steps = steps(len(self._labels["train"]), config.batch_size, world)

    def told(self, config: TrainConfig) -> "Features":
        """The same table, for a head that is told other things."""
        return Features(self._table, self._dataset, config, self._world)

    def training(self, epoch: int, skip: int) -> Iterator[Batch]:
        count, config = len(self._labels["train"]), self._config
        for own in planned(count, config.batch_size, config.seed, epoch, skip, self._world):
            yield self._rows("train", own)

    def judged(self, split: str) -> Iterator[Batch]:
        own = part(len(self._labels[split]), self._world)
        for start in range(0, len(own), JUDGED):
            yield self._rows(split, np.array(own[start : start + JUDGED]))

    def _rows(self, split: str, rows: NDArray[np.int64]) -> Batch:
        inputs = torch.from_numpy(self._table[self._first[split] + rows])
        return inputs, torch.from_numpy(self._labels[split][rows])


def compute(
    images: Images,
    embed: Embed,
    numbers: Preprocessing,
    dataset: Dataset,
    table: Path,
    world: World,
    go_on: Callable[[int, int], None],
) -> Rows:
    """Written to `table`; `go_on(done, total)` is called after each pass, and may raise.

    Each process computes a part of each pass and receives the others': no shared disk is needed.
    """
    examples = [example for split in dataset.splits.values() for example in split]
    total = len(examples)
    chunks = [range(at, min(at + AT_ONCE, total)) for at in range(0, total, AT_ONCE)]
    own = ([partial(images.plain, examples[i]) for i in _own(chunk, world)] for chunk in chunks)
    with table.open("wb") as file:
        for chunk, pixels in zip(chunks, images.pixels(own), strict=True):
            rows = torch.from_numpy(embed(preprocess.normalise(pixels, numbers))).to(world.device)
            counts = parts(len(chunk), world)
            every = world.gathered(rows[: counts[world.rank]], counts).cpu().numpy()
            file.write(every.tobytes())
            go_on(chunk.stop, total)
    return np.memmap(table, np.float32, "r", shape=(total, every.shape[1]))


def _own(chunk: range, world: World) -> range:
    """One at least, though it be another's: a network cannot take no images."""
    own = part(len(chunk), world)
    return chunk[own.start : own.stop] or chunk[:1]


def _firsts(dataset: Dataset) -> dict[str, int]:
    sizes = [len(examples) for examples in dataset.splits.values()]
    return dict(zip(dataset.splits, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
