"""Finds pictures that are there twice: resized, recompressed or mirrored, or byte for byte.

Two signatures are compared by their correlation, which ignores brightness and contrast. A signature
is a symmetric and an antisymmetric part; mirroring negates the second. So the correlation with a
picture is `s + a` and that with its mirror image `s - a`, and one product gives both.

All pairs are compared, a block of BLOCK_ROWS by BLOCK_ROWS at a time: none is missed, and 100 MB
hold the blocks however many pictures there are. Ten times the pictures take a hundred times as
long.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.findings.pictures import SIGNATURE_SIDE

SIMILARITY = 0.975
"""At least this alike are one picture. See `pictures.SIGNATURE_SIDE` for what was measured."""

IDENTICAL = 1.0
"""Byte for byte; pictures that only look the same have less."""

NEARLY_IDENTICAL = 0.9999

BLOCK_ROWS = 2048

Rows = NDArray[np.int64]
Parts = NDArray[np.float32]


@dataclass(frozen=True)
class Twins:
    """For each picture the most similar of those before it, and how similar; -1 and 0 for none."""

    rows: Rows
    similarity: NDArray[np.float32]


@dataclass(frozen=True)
class PictureList:
    """Pictures in the order in which they are kept: of two the first one."""

    signatures: NDArray[np.uint8]
    """(N, SIGNATURE_SIDE, SIGNATURE_SIDE)"""
    digests: Sequence[str]
    splits: NDArray[np.int64]
    labels: NDArray[np.int64]
    is_plain: NDArray[np.bool_]
    """Of one colour: its signature is noise, and only its bytes are compared."""


@dataclass(frozen=True)
class TwinsOfKinds:
    in_another_split: Twins
    with_another_label: Twins
    alike: Twins
    """In the same split, with the same label."""


def find_twins(pictures: PictureList, on_progress: Callable[[int, int], None]) -> TwinsOfKinds:
    """`on_progress(completed, total)`, in pictures, may raise."""
    count = len(pictures.digests)
    kinds = TwinsOfKinds(*(_none(count) for _ in range(3)))
    rows = np.flatnonzero(~pictures.is_plain)
    blocks = [rows[start : start + BLOCK_ROWS] for start in range(0, len(rows), BLOCK_ROWS)]
    for number, below in enumerate(blocks):
        symmetric, antisymmetric = _parts(pictures.signatures[below])
        for above in blocks[: number + 1]:
            parts = _parts(pictures.signatures[above])
            similarity = antisymmetric @ parts[1].T
            np.abs(similarity, out=similarity)
            similarity += symmetric @ parts[0].T  # (below, above)
            if above is below:
                similarity = np.tril(similarity, -1)
            if similarity.max() >= SIMILARITY:
                _note(pictures, kinds, similarity, below, above)
        on_progress(count * (number + 1) ** 2 // len(blocks) ** 2, count)
    _note_identical(pictures, kinds)
    return kinds


def _none(count: int) -> Twins:
    return Twins(np.full(count, -1, np.int64), np.zeros(count, np.float32))


def _parts(signatures: NDArray[np.uint8]) -> tuple[Parts, Parts]:
    """The symmetric and the antisymmetric part, (N, SIGNATURE_SIDE^2 / 2) each, of signatures with
    mean 0 and length 1.
    """
    half = SIGNATURE_SIDE // 2
    values = signatures.astype(np.float32)
    values -= values.mean((1, 2), keepdims=True)
    values /= np.maximum(np.sqrt((values**2).sum((1, 2), keepdims=True)), 1e-6)
    left, right = values[:, :, :half], values[:, :, : half - 1 : -1]
    scale = np.float32(np.sqrt(0.5))
    count = len(values)
    return ((left + right) * scale).reshape(count, -1), ((left - right) * scale).reshape(count, -1)


def _note(
    pictures: PictureList, kinds: TwinsOfKinds, similarity: Parts, below: Rows, above: Rows
) -> None:
    """Keep the best of the pairs of two blocks; `similarity`: (below, above)."""
    hit = np.flatnonzero(similarity.max(1) >= SIMILARITY)
    below = below[hit]
    similarity = np.minimum(similarity[hit], NEARLY_IDENTICAL)
    is_pair = similarity >= SIMILARITY
    same_split = pictures.splits[below][:, None] == pictures.splits[above][None, :]
    same_label = pictures.labels[below][:, None] == pictures.labels[above][None, :]
    for twins, mask in (
        (kinds.in_another_split, ~same_split),
        (kinds.with_another_label, ~same_label),
        (kinds.alike, same_split & same_label),
    ):
        distances = np.where(is_pair & mask, 1 - similarity, 1)
        nearest = distances.argmin(1)
        scores = np.where(is_pair & mask, similarity, 0)[np.arange(len(below)), nearest]
        better = scores > twins.similarity[below]
        twins.rows[below[better]] = above[nearest[better]]
        twins.similarity[below[better]] = scores[better]


def _note_identical(pictures: PictureList, kinds: TwinsOfKinds) -> None:
    """Byte for byte, which no signature can tell; it has the last word."""
    known: dict[str, dict[tuple[int, int], int]] = {}
    for row, digest in enumerate(pictures.digests):
        split, label = int(pictures.splits[row]), int(pictures.labels[row])
        firsts = known.setdefault(digest, {})
        for (other_split, other_label), first in firsts.items():
            for twins, holds in (
                (kinds.in_another_split, other_split != split),
                (kinds.with_another_label, other_label != label),
                (kinds.alike, (other_split, other_label) == (split, label)),
            ):
                if holds and twins.similarity[row] < IDENTICAL:
                    twins.rows[row], twins.similarity[row] = first, IDENTICAL
        firsts.setdefault((split, label), row)
