"""Images decoded by threads, never more than a few batches ahead of the network.

Threads and not processes: Pillow lets go of the interpreter while it decodes, and nothing has to be
copied between processes or cleaned up behind them.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random
from typing import Self

import numpy as np
import torch
from PIL import Image

from domain.model import Preprocessing
from domain.route import LARGEST_BYTES
from serving import preprocess
from serving.decoding.bounds import MAX_PIXELS
from serving.decoding.decode import decode
from serving.decoding.undecodable import UndecodableError
from serving.files import read_regular
from serving.preprocess import Pixels
from training.config.errors import TrainingFailed
from training.config.train_config import TrainConfig
from training.data.augment import augmented
from training.data.dataset import Dataset, Example
from training.data.prefetch import Load, prefetched_by
from training.data.sampling import Batch, dice, part, planned, steps
from training.distributed import World

JUDGED = 32
"""Images in a batch that only looks."""

DETAIL = 2
"""Times what serving needs, so that the small part a random crop keeps is not blown up."""


class Images:
    """The network's own input: each training image altered anew every epoch."""

    def __init__(
        self, dataset: Dataset, numbers: Preprocessing, config: TrainConfig, world: World
    ) -> None:
        self._dataset = dataset
        self._numbers = numbers
        self._config = config
        self._world = world
        self._pool = ThreadPoolExecutor(config.decoders or os.cpu_count() or 1)
        self.steps = steps(len(dataset.splits["train"]), config.batch_size, world)

    def training(self, epoch: int, skip: int) -> Iterator[Batch]:
        examples = self._dataset.splits["train"]
        config = self._config
        plan = planned(len(examples), config.batch_size, config.seed, epoch, skip, self._world)
        batches = ([(examples[i], dice(config.seed, epoch, i)) for i in step] for step in plan)
        loads = (
            [(example.label, partial(self._altered, example, chance)) for example, chance in batch]
            for batch in batches
        )
        yield from self._loaded(loads)

    def judged(self, split: str) -> Iterator[Batch]:
        examples = self._dataset.splits[split]
        own = part(len(examples), self._world)
        loads = (
            [
                (examples[i].label, partial(self.plain, examples[i]))
                for i in own[start : start + JUDGED]
            ]
            for start in range(0, len(own), JUDGED)
        )
        yield from self._loaded(loads)

    def plain(self, example: Example) -> Pixels:
        """As serving will see it."""
        image = _decoded(self._dataset, example, preprocess.shorter_side(self._numbers))
        return preprocess.crop(image, self._numbers)

    def pixels(self, batches: Iterable[Sequence[Load]]) -> Iterator[Pixels]:
        """Each batch as one array, in order."""
        return prefetched_by(batches, self._pool)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *trouble: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _altered(self, example: Example, chance: Random) -> Pixels:
        image = _decoded(self._dataset, example, DETAIL * self._numbers.resize)
        return augmented(image, self._numbers, self._config.augment, chance)

    def _loaded(self, batches: Iterable[Sequence[tuple[int, Load]]]) -> Iterator[Batch]:
        labels: deque[torch.Tensor] = deque()

        def loads() -> Iterator[Sequence[Load]]:
            for batch in batches:
                labels.append(torch.tensor([label for label, _ in batch]))
                yield [load for _, load in batch]

        for pixels in self.pixels(loads()):
            inputs = torch.from_numpy(preprocess.normalise(pixels, self._numbers))
            yield inputs, labels.popleft()


def _decoded(dataset: Dataset, example: Example, shorter_side: int) -> Image.Image:
    """Raises TrainingFailed: the file was readable when the job began."""
    try:
        body = read_regular(dataset.root / example.path, LARGEST_BYTES)
        return Image.fromarray(np.asarray(decode(body, MAX_PIXELS, shorter_side).image))
    except UndecodableError as error:
        raise TrainingFailed(f"Image {example.path} cannot be read: {error.message}") from error
    except FileNotFoundError as error:
        raise TrainingFailed(f"Image {example.path} went away during training.") from error
    except OSError as error:
        raise TrainingFailed(f"Image {example.path} cannot be read: {error.strerror}.") from error
