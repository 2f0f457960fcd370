"""Batches of images loaded by threads, a few ahead of the consumer. Does not import torch."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from serving.preprocess import Pixels

BATCHES_AHEAD = 3
"""Batches in preparation while one is consumed: 0.6 MB per image of 224 pixels."""

Load = Callable[[], Pixels]


def prefetch(batches: Iterable[Sequence[Load]], threads: int) -> Iterator[Pixels]:
    """Each batch as one array, in order."""
    with ThreadPoolExecutor(threads) as pool:
        yield from prefetch_with(batches, pool)


def prefetch_with(batches: Iterable[Sequence[Load]], pool: ThreadPoolExecutor) -> Iterator[Pixels]:
    """Keeps BATCHES_AHEAD batches in preparation."""
    waiting: deque[list[Future[Pixels]]] = deque()
    for batch in batches:
        waiting.append([pool.submit(load) for load in batch])
        if len(waiting) > BATCHES_AHEAD:
            yield _stack(waiting.popleft())
    while waiting:
        yield _stack(waiting.popleft())


def _stack(batch: list[Future[Pixels]]) -> Pixels:
    return np.stack([item.result() for item in batch])
