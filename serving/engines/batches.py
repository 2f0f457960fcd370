"""Batches are run in sizes that were prepared before the first request, and padded to none."""

from collections.abc import Iterable, Iterator

from serving.preprocess import Pixels


def batch_sizes(max_batch: int) -> list[int]:
    """Powers of two, largest first."""
    return [2**power for power in reversed(range(max_batch.bit_length()))]


def split_batch(pixels: Pixels, prepared: Iterable[int]) -> Iterator[Pixels]:
    """Seven images as four, two and one. `prepared`: largest first, and 1 among them."""
    start = 0
    for size in prepared:
        while len(pixels) - start >= size:
            yield pixels[start : start + size]
            start += size
