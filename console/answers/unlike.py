"""The order of the gallery that begins with images that are unlike their neighbours.

It holds the answers that have been compared, MOST_IMAGES at most, and is made anew when a page asks
for its beginning: what a person scrolls through stays in its order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock

from console.answers.features import FeatureFetcher, FeatureState
from console.answers.index import AnswerFilter, AnswerRow
from infra.review.stored import CorrectionStore


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An answer, and what its neighbours are called, in words."""

    row: AnswerRow
    neighbours: str


class UnlikeOrder:
    """Of the filter that was asked for last. Every method may be called from any thread."""

    def __init__(self, fetcher: FeatureFetcher, corrections: CorrectionStore) -> None:
        self._fetcher = fetcher
        self._corrections = corrections
        self._lock = Lock()
        self._chosen: AnswerFilter | None = None
        self._suggestions: Sequence[Suggestion] = ()

    def suggestions(self, chosen: AnswerFilter, renew: bool = False) -> Sequence[Suggestion]:
        """Those of this filter, compared anew with `renew`, or if another was asked for last."""
        self._fetcher.want(chosen)
        with self._lock:
            if renew or chosen != self._chosen:
                self._suggestions = suggest(self._fetcher.fetched(), self._corrections)
                self._chosen = chosen
            return self._suggestions

    def suggestion(self, image: str, chosen: AnswerFilter) -> Suggestion | None:
        """None for an image that is not compared."""
        return next((one for one in self.suggestions(chosen) if one.row.image == image), None)

    def state(self, chosen: AnswerFilter) -> FeatureState:
        """How far the features of the answers of this filter are fetched, which goes on by it."""
        return self._fetcher.want(chosen)


def suggest(
    compared: Sequence[tuple[AnswerRow, bytes]], corrections: CorrectionStore
) -> list[Suggestion]:
    """The answers, those first of whose neighbours the most are called otherwise.

    `compared`: the features of each, float16 of one length. An image is called as its correction
    says, else as its answer. Those that a person has corrected or confirmed come last.
    """
    from console.answers import neighbours  # imports NumPy, which no other page needs

    rows = [row for row, _ in compared]
    if not rows:
        return []
    settled = corrections.settled((row.image, row.etag) for row in rows)
    labels, is_settled = [], []
    for row in rows:
        state = settled.get((row.image, row.etag))
        ruling = state.ruling if state else None
        label = ruling.to if ruling else row.label
        labels.append(neighbours.NONE if label is None else label)
        is_settled.append(ruling is not None)
    found = neighbours.compare(neighbours.read([features for _, features in compared]), labels)
    order = sorted(
        range(len(rows)),
        key=lambda at: (is_settled[at], -found[at].score, -found[at].of_them),
    )
    return [Suggestion(rows[at], neighbours.describe(found[at])) for at in order]


def describe_state(state: FeatureState) -> str:
    """What the page says of it."""
    if state.trouble:
        return state.trouble
    if state.missing:
        return (
            f"{state.compared:,} of {state.chosen:,} compared so far: the endpoint is being asked "
            f"for the features of {state.missing:,} more …"
        )
    if state.compared < state.chosen:
        return (
            f"{state.compared:,} of {state.chosen:,} compared: the others are gone, replaced, "
            "refused, too large for the endpoint, or failed several times"
        )
    if state.total > state.chosen:
        return f"the newest {state.chosen:,} of {state.total:,} are compared with each other"
    return f"{state.compared:,} compared with each other"
