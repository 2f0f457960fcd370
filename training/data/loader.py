"""Images decoded by threads, at most a few batches ahead of the network.

Threads, not processes: Pillow releases the GIL while it decodes, and nothing has to be copied
between processes or cleaned up after them.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from random import Random
from typing import Self

import torch

from domain.model import Preprocessing
from serving import preprocess
from serving.decoding.decoded import DecodedImage
from serving.preprocess import Pixels
from training.config.train_config import TrainConfig
from training.data.augment import augment_image
from training.data.dataset import Dataset, Example
from training.data.prefetch import Load, prefetch_with
from training.data.reading import read_example
from training.data.sampling import Batch, own_part, plan_epoch, rng_for, steps_per_epoch
from training.distributed import Distributed

EVAL_BATCH_SIZE = 32
"""Images per batch of an evaluation."""

DECODE_FACTOR = 2
"""Times the resolution of serving, so that a small random crop is not upscaled."""


class Images:
    """Batches of pixels: training images are augmented anew every epoch."""

    def __init__(
        self,
        dataset: Dataset,
        preprocessing: Preprocessing,
        config: TrainConfig,
        distributed: Distributed,
    ) -> None:
        self.dataset = dataset
        self.preprocessing = preprocessing
        self._config = config
        self._distributed = distributed
        self._pool = ThreadPoolExecutor(config.decoders or os.cpu_count() or 1)
        self.steps = steps_per_epoch(len(dataset.splits["train"]), config.batch_size, distributed)

    def train_batches(self, epoch: int, skip: int) -> Iterator[Batch]:
        examples = self.dataset.splits["train"]
        config = self._config
        plan = plan_epoch(
            len(examples), config.batch_size, config.seed, epoch, skip, self._distributed
        )
        batches = ([(examples[i], rng_for(config.seed, epoch, i)) for i in step] for step in plan)
        loads = (
            [(example.label, partial(self._augment, example, rng)) for example, rng in batch]
            for batch in batches
        )
        yield from self._prefetch(loads)

    def eval_batches(self, split: str) -> Iterator[Batch]:
        examples = self.dataset.splits[split]
        own = own_part(len(examples), self._distributed)
        loads = (
            [
                (examples[i].label, partial(self.load, examples[i]))
                for i in own[start : start + EVAL_BATCH_SIZE]
            ]
            for start in range(0, len(own), EVAL_BATCH_SIZE)
        )
        yield from self._prefetch(loads)

    def load(
        self, example: Example, on_decoded: Callable[[DecodedImage], None] | None = None
    ) -> Pixels:
        """One image as in serving: (crop, crop, 3). `on_decoded` sees it before the crop."""
        side = preprocess.shorter_side(self.preprocessing)
        decoded = read_example(self.dataset, example, side)
        if on_decoded is not None:
            on_decoded(decoded)
        return preprocess.crop(decoded.pixels, self.preprocessing)

    def load_batches(self, batches: Iterable[Sequence[Load]]) -> Iterator[Pixels]:
        """Each batch as one array, in order."""
        return prefetch_with(batches, self._pool)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *trouble: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _augment(self, example: Example, rng: Random) -> Pixels:
        side = DECODE_FACTOR * self.preprocessing.resize
        image = read_example(self.dataset, example, side).image
        return augment_image(image, self.preprocessing, self._config.augment, rng)

    def _prefetch(self, batches: Iterable[Sequence[tuple[int, Load]]]) -> Iterator[Batch]:
        labels: deque[torch.Tensor] = deque()

        def loads() -> Iterator[Sequence[Load]]:
            for batch in batches:
                labels.append(torch.tensor([label for label, _ in batch]))
                yield [load for _, load in batch]

        for pixels in self.load_batches(loads()):
            inputs = torch.from_numpy(preprocess.normalise(pixels, self.preprocessing))
            yield inputs, labels.popleft()  # (B, 3, H, W), (B,)
