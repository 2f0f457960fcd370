"""Images made ready by threads, a few batches ahead of whoever takes them. Needs no torch."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

from serving.preprocess import Pixels

AHEAD = 3
"""Batches that are being decoded while the network learns from one: 0.6 MB an image of 224."""

Load = Callable[[], Pixels]


def prefetched(batches: Iterable[Sequence[Load]], threads: int) -> Iterator[Pixels]:
    """Each batch as one array, in order."""
    with ThreadPoolExecutor(threads) as pool:
        yield from prefetched_by(batches, pool)


def prefetched_by(batches: Iterable[Sequence[Load]], pool: ThreadPoolExecutor) -> Iterator[Pixels]:
    """With AHEAD of them under way."""
    waiting: deque[list[Future[Pixels]]] = deque()
    for batch in batches:
        waiting.append([pool.submit(load) for load in batch])
        if len(waiting) > AHEAD:
            yield _stacked(waiting.popleft())
    while waiting:
        yield _stacked(waiting.popleft())


def _stacked(batch: list[Future[Pixels]]) -> Pixels:
    return np.stack([each.result() for each in batch])
