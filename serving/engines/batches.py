"""Split batches into sizes that were prepared before the first request, without padding."""

from collections.abc import Iterable, Iterator

from serving.preprocess import Pixels


def batch_sizes(max_batch: int) -> list[int]:
    """The prepared sizes: powers of two up to `max_batch`, largest first."""
    return [2**power for power in reversed(range(max_batch.bit_length()))]


def split_batch(pixels: Pixels, prepared: Iterable[int]) -> Iterator[Pixels]:
    """Split seven images into four, two and one. `prepared` is sorted, largest first, to 1."""
    start = 0
    for size in prepared:
        while len(pixels) - start >= size:
            yield pixels[start : start + size]
            start += size
