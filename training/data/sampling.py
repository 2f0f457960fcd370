"""Which examples make a step: decided by seed and epoch alone, so that any step can be resumed."""

from collections.abc import Iterator
from random import Random
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from training.config.errors import TrainingFailed
from training.distributed import World

Indices = NDArray[np.int64]
Batch = tuple[torch.Tensor, torch.Tensor]
"""Inputs, and the label of each as a number."""


class Source(Protocol):
    """Examples as a network, or only its head, takes them."""

    steps: int
    """In an epoch."""

    def training(self, epoch: int, skip: int) -> Iterator[Batch]:
        """This process's part of each step from `skip` on."""

    def judged(self, split: str) -> Iterator[Batch]:
        """This process's part of a split, each example once and untouched by chance."""


def steps(count: int, batch_size: int, world: World) -> int:
    """What does not fill the last batch sits out: other examples every epoch.

    Raises TrainingFailed for a batch that cannot be shared evenly.
    """
    if batch_size % world.size:
        raise TrainingFailed(
            f"Hyperparameter batch-size must be a multiple of the {world.size} processes that "
            f"share each batch, not {batch_size}."
        )
    if count < world.size:
        raise TrainingFailed(f"{world.size} processes cannot share {count} training images.")
    return max(1, count // batch_size)


def planned(
    count: int, batch_size: int, seed: int, epoch: int, skip: int, world: World
) -> Iterator[Indices]:
    """This process's part of each step."""
    order = np.random.default_rng((seed, epoch)).permutation(count)
    size = min(batch_size, count // world.size * world.size)
    for step in range(skip, steps(count, batch_size, world)):
        yield order[step * size : (step + 1) * size][world.rank :: world.size]


def part(count: int, world: World) -> range:
    """This process's share of a split, neighbours together."""
    bounds = [count * rank // world.size for rank in range(world.size + 1)]
    return range(bounds[world.rank], bounds[world.rank + 1])


def parts(count: int, world: World) -> list[int]:
    """How many each process has."""
    return [len(part(count, World(rank, world.size))) for rank in range(world.size)]


def dice(*of: object) -> Random:
    """The same generator for the same words, on any machine."""
    return Random(":".join(map(str, of)))
