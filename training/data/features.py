"""The features of a frozen backbone, computed once per image and reused by every epoch.

The table is a float32 file mapped into memory: EfficientNet-Lite0 has 1,280 features per image,
5 GB for a million images, of which the system caches as much as there is room for.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from serving import preprocess
from serving.decoding.decoded import DecodedImage
from serving.preprocess import Inputs
from training.config.train_config import TrainConfig
from training.data.dataset import Dataset
from training.data.loader import Images
from training.data.sampling import Batch, own_part, part_sizes, plan_epoch, steps_per_epoch
from training.distributed import Distributed

IMAGES_PER_PASS = 32
"""Summed over all processes."""

EVAL_ROWS = 1024
"""Rows per batch of an evaluation."""

Rows = NDArray[np.float32]
Extract = Callable[[Inputs], Rows]
"""(B, 3, H, W) to (B, features)."""


class Features:
    """The head's input."""

    def __init__(
        self, table: Rows, dataset: Dataset, config: TrainConfig, distributed: Distributed
    ) -> None:
        self._table = table
        self._dataset = dataset
        self._config = config
        self._distributed = distributed
        self._first = _first_rows(dataset)
        self._labels = {
            split: np.array([example.label for example in examples])
            for split, examples in dataset.splits.items()
        }
        self.steps = steps_per_epoch(len(self._labels["train"]), config.batch_size, distributed)

    def with_config(self, config: TrainConfig) -> "Features":
        """The same table, for a head with another configuration."""
        return Features(self._table, self._dataset, config, self._distributed)

    def train_batches(self, epoch: int, skip: int) -> Iterator[Batch]:
        count, config = len(self._labels["train"]), self._config
        distributed = self._distributed
        for own in plan_epoch(count, config.batch_size, config.seed, epoch, skip, distributed):
            yield self._rows("train", own)

    def eval_batches(self, split: str) -> Iterator[Batch]:
        own = own_part(len(self._labels[split]), self._distributed)
        for start in range(0, len(own), EVAL_ROWS):
            yield self._rows(split, np.array(own[start : start + EVAL_ROWS]))

    def _rows(self, split: str, rows: NDArray[np.int64]) -> Batch:
        inputs = torch.from_numpy(self._table[self._first[split] + rows])  # (B, features)
        return inputs, torch.from_numpy(self._labels[split][rows])


def compute(
    images: Images,
    extract: Extract,
    table: Path,
    distributed: Distributed,
    on_progress: Callable[[int, int], None],
    on_decoded: Callable[[int, DecodedImage], None] | None = None,
) -> Rows:
    """(N, features), written to `table`. `on_progress(completed, total)` may raise.

    `on_decoded(row, image)` is called for every image of this process, by any thread. Each process
    computes a part of each pass and receives the others': no shared disk is needed.
    """
    examples = [example for split in images.dataset.splits.values() for example in split]
    total = len(examples)
    chunks = [
        range(start, min(start + IMAGES_PER_PASS, total))
        for start in range(0, total, IMAGES_PER_PASS)
    ]
    own = (
        [
            partial(images.load, examples[i], on_decoded and partial(on_decoded, i))
            for i in _own(chunk, distributed)
        ]
        for chunk in chunks
    )
    with table.open("wb") as file:
        for chunk, pixels in zip(chunks, images.load_batches(own), strict=True):
            inputs = preprocess.normalise(pixels, images.preprocessing)  # (B, 3, H, W)
            rows = torch.from_numpy(extract(inputs)).to(distributed.device)  # (B, features)
            counts = part_sizes(len(chunk), distributed)
            gathered = distributed.all_gather(rows[: counts[distributed.rank]], counts)
            file.write(gathered.cpu().numpy().tobytes())
            on_progress(chunk.stop, total)
    return np.memmap(table, np.float32, "r", shape=(total, gathered.shape[1]))


def _own(chunk: range, distributed: Distributed) -> range:
    """At least one image, even if it belongs to another process: a batch cannot be empty."""
    own = own_part(len(chunk), distributed)
    return chunk[own.start : own.stop] or chunk[:1]


def _first_rows(dataset: Dataset) -> dict[str, int]:
    sizes = [len(examples) for examples in dataset.splits.values()]
    return dict(zip(dataset.splits, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
