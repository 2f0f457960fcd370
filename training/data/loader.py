"""Images decoded by threads, at most a few batches ahead of the network.

Threads, not processes: Pillow releases the GIL while it decodes, and nothing has to be copied
between processes or cleaned up after them.
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
from training.data.augment import augment_image
from training.data.dataset import Dataset, Example
from training.data.prefetch import Load, prefetch_with
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

    def load(self, example: Example) -> Pixels:
        """One image as in serving: (crop, crop, 3)."""
        image = _decode(self.dataset, example, preprocess.shorter_side(self.preprocessing))
        return preprocess.crop(image, self.preprocessing)

    def load_batches(self, batches: Iterable[Sequence[Load]]) -> Iterator[Pixels]:
        """Each batch as one array, in order."""
        return prefetch_with(batches, self._pool)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *trouble: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def _augment(self, example: Example, rng: Random) -> Pixels:
        image = _decode(self.dataset, example, DECODE_FACTOR * self.preprocessing.resize)
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


def _decode(dataset: Dataset, example: Example, shorter_side: int) -> Image.Image:
    """Raises TrainingFailed: the file was readable when the job began."""
    try:
        body = read_regular(dataset.root / example.path, LARGEST_BYTES)
        return Image.fromarray(np.asarray(decode(body, MAX_PIXELS, shorter_side).image))
    except UndecodableError as error:
        raise TrainingFailed(f"Image {example.path} cannot be read: {error.message}") from error
    except FileNotFoundError as error:
        raise TrainingFailed(f"Image {example.path} was removed during training.") from error
    except OSError as error:
        raise TrainingFailed(f"Image {example.path} cannot be read: {error.strerror}.") from error
