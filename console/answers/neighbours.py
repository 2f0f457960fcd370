"""Which images are called otherwise than the images that are most like them.

An image's neighbours are its NEAREST nearest by the cosine of features, and its score is the share
of them that have another label. Of 2,000 images with 1,280 features that takes 5 billion
multiplications, about a second of a busy laptop, and 10 MB.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

NEAREST = 10
ROWS_AT_ONCE = 256
"""Images whose neighbours are looked for together: against 2,000 others, 2 MB."""

NONE = "none of the labels"
"""What an image is called of which a person has said that no label fits."""


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """What the neighbours of an image are called.

    `others` of its `nearest` neighbours have another label than the image; the most frequent of
    these labels is `called`, and `of_them` neighbours have it. Of none it is ''.
    """

    nearest: int
    others: int
    called: str
    of_them: int

    @property
    def score(self) -> float:
        """The share of the neighbours that have another label; 0 without neighbours."""
        return self.others / self.nearest if self.nearest else 0.0


def read(rows: Sequence[bytes]) -> NDArray[np.float16]:
    """(images, numbers), of rows as the container answers them: float16, little-endian."""
    return np.stack([np.frombuffer(row, "<f2") for row in rows])


def compare(features: NDArray[np.float16], labels: Sequence[str]) -> list[Neighbourhood]:
    """The neighbourhood of each image, in their order.

    `features`: (images, numbers); only the direction of a row counts. One of zeros is equally far
    from all, and an infinity is the largest number of its type. `labels` are what the images are
    called. With fewer than NEAREST other images, all of them are neighbours. Of labels that are
    equally frequent the nearest one is named.
    """
    directions = _normalise(np.nan_to_num(features).astype(np.float32))  # (images, numbers)
    nearest = min(NEAREST, len(labels) - 1)
    neighbourhoods = []
    for start in range(0, len(labels), ROWS_AT_ONCE):
        block = directions[start : start + ROWS_AT_ONCE]
        similarity = block @ directions.T  # (rows, images)
        own = np.arange(len(block))
        similarity[own, start + own] = -np.inf
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :nearest]
        for row, neighbours in enumerate(order.tolist()):
            around = [labels[one] for one in neighbours if labels[one] != labels[start + row]]
            called, of_them = Counter(around).most_common(1)[0] if around else ("", 0)
            neighbourhoods.append(Neighbourhood(nearest, len(around), called, of_them))
    return neighbourhoods


def describe(one: Neighbourhood) -> str:
    """What a page says of it: `8 of its 10 nearest images are called boots`."""
    if not one.nearest:
        return "there is no other image to compare it with"
    if not one.others:
        return f"its {one.nearest} nearest images are called the same"
    verb, rest = "is" if one.of_them == 1 else "are", one.others - one.of_them
    more = (
        "" if not rest else ", 1 has another label" if rest == 1 else f", {rest} have other labels"
    )
    return f"{one.of_them} of its {one.nearest} nearest images {verb} called {one.called}{more}"


def _normalise(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.sqrt(np.square(rows).sum(1, keepdims=True))
    directions: NDArray[np.float32] = rows / np.maximum(lengths, np.float32(1e-9))
    return directions
