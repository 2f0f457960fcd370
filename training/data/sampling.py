"""Which examples make a step: a function of seed and epoch alone, so any step can be resumed."""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from training.config.errors import TrainingFailed
from training.data.dataset import Example
from training.distributed import Distributed

Indices = NDArray[np.int64]
Batch = tuple[torch.Tensor, torch.Tensor]
"""Inputs (B, …) and labels (B,)."""


class BatchSource(Protocol):
    """Batches for a network, or for its head alone."""

    steps: int
    """In an epoch."""

    def train_batches(self, epoch: int, skip: int) -> Iterator[Batch]:
        """This process's part of each step from `skip` on."""

    def eval_batches(self, split: str) -> Iterator[Batch]:
        """This process's part of a split, each example once and without augmentation."""


def steps_per_epoch(count: int, batch_size: int, distributed: Distributed) -> int:
    """An incomplete last batch is dropped: other examples every epoch.

    Raises TrainingFailed if a batch cannot be divided evenly among the processes.
    """
    if batch_size % distributed.size:
        raise TrainingFailed(
            f"Hyperparameter batch-size must be a multiple of the {distributed.size} processes "
            f"that share each batch, not {batch_size}."
        )
    if count < distributed.size:
        raise TrainingFailed(f"{distributed.size} processes cannot share {count} training images.")
    return max(1, count // batch_size)


def plan_epoch(
    count: int, batch_size: int, seed: int, epoch: int, skip: int, distributed: Distributed
) -> Iterator[Indices]:
    """The indices of this process's part of each step."""
    order = np.random.default_rng((seed, epoch)).permutation(count)
    size = min(batch_size, count // distributed.size * distributed.size)
    for step in range(skip, steps_per_epoch(count, batch_size, distributed)):
        yield order[step * size : (step + 1) * size][distributed.rank :: distributed.size]


def sample(examples: Sequence[Example], most: int, rng: Random) -> list[Example]:
    """All examples in their order, or a random sample of `most`."""
    return list(examples) if len(examples) <= most else rng.sample(list(examples), most)


def true_labels(examples: Sequence[Example]) -> Indices:
    """(N,): the index of each example's label."""
    return np.array([example.label for example in examples])


def own_part(count: int, distributed: Distributed) -> range:
    """This process's contiguous part of a split."""
    bounds = [count * rank // distributed.size for rank in range(distributed.size + 1)]
    return range(bounds[distributed.rank], bounds[distributed.rank + 1])


def part_sizes(count: int, distributed: Distributed) -> list[int]:
    """The size of each process's part."""
    return [
        len(own_part(count, Distributed(rank, distributed.size)))
        for rank in range(distributed.size)
    ]


def rng_for(*of: object) -> Random:
    """The same generator for the same values, on any machine."""
    return Random(":".join(map(str, of)))
