"""The list of answers to review: what the model does not accept, low scores, and a random sample.

`outbox/_review/<scope>.csv` is replaced by each run. A person fills in the column `corrected`, and
`./sortbox review` turns the file into class folders for training.
"""

import hashlib
import heapq
import io
from dataclasses import dataclass, field
from typing import Any

from batch.outcome import Predicted, Refusal, answers_of_type, to_line
from domain.foreign import escape_cell
from domain.keys import REVIEWS
from domain.scope import Scope
from domain.tables.writer import write_header, write_rows

PREFIX = REVIEWS
COLUMNS = ("image", "model", "etag", "label", "score", "why", "corrected")

REASONS = ("unknown", "unsure", "low score", "sample")
"""In the column `why`, in the order of the list. The first two are decisions of the model."""

MOST_UNKNOWN = 200
"""Unknown images, drawn like the random sample: a camera at the wrong place makes thousands."""

MOST_UNSURE = 500
SAMPLE = 25
"""The size of the random sample, which is drawn by the images' hashes and so is reproducible."""


@dataclass(frozen=True, slots=True, order=True)
class Ranked:
    rank: float
    image: str
    answer: Predicted = field(compare=False)


@dataclass
class Review:
    """Collects the answers to review, in constant memory. Scores under `below` are low."""

    below: float = 0.5
    _unknown: list[Ranked] = field(default_factory=list)
    _unsure: list[Ranked] = field(default_factory=list)
    _drawn: list[Ranked] = field(default_factory=list)

    def add(self, answer: Predicted | Refusal) -> None:
        if isinstance(answer, Refusal) or not answer.labels:
            return
        score = answer.labels[0].score
        if answer.decision == "unknown":
            _keep(self._unknown, -_lot(answer), answer, MOST_UNKNOWN)
        elif answer.decision == "unsure":
            _keep(self._unsure, 1 - score, answer, MOST_UNSURE)  # above all low scores
        elif score < self.below:
            _keep(self._unsure, -score, answer, MOST_UNSURE)
        _keep(self._drawn, -_lot(answer), answer, SAMPLE)

    def to_json(self) -> dict[str, Any]:
        """The state (some hundred answers); `resume` is the inverse."""
        heaps = {"unknown": self._unknown, "unsure": self._unsure, "drawn": self._drawn}
        return {
            name: [(ranked.rank, to_line(ranked.answer)) for ranked in heap]
            for name, heap in heaps.items()
        }

    def resume(self, document: dict[str, Any]) -> None:
        self._unknown, self._unsure, self._drawn = (
            [
                Ranked(rank, answer.image, answer)
                for rank, line in document.get(name, ())
                for answer in answers_of_type(Predicted, [line])
            ]
            for name in ("unknown", "unsure", "drawn")
        )

    def table(self) -> str:
        """The CSV file: unknown images by name, unsure ones and low scores, the lowest first."""
        text = io.StringIO(newline="")
        write_header(text, COLUMNS)
        unknown = sorted(
            (ranked.answer for ranked in self._unknown), key=lambda answer: answer.image
        )
        write_rows(text, (_row(answer, "unknown") for answer in unknown))
        unsure = [ranked.answer for ranked in sorted(self._unsure, reverse=True)]
        for answer in unsure:
            why = "unsure" if answer.decision == "unsure" else "low score"
            write_rows(text, [_row(answer, why)])
        listed = {answer.image for answer in (*unknown, *unsure)}
        drawn = sorted((ranked.answer for ranked in self._drawn), key=lambda answer: answer.image)
        others = (answer for answer in drawn if answer.image not in listed)
        write_rows(text, (_row(answer, "sample") for answer in others))
        return text.getvalue()


def key_of(scope: Scope) -> str:
    return f"{PREFIX}{scope.token}.csv"


def _keep(heap: list[Ranked], rank: float, answer: Predicted, most: int) -> None:
    heapq.heappush(heap, Ranked(rank, answer.image, answer))
    if len(heap) > most:
        heapq.heappop(heap)


def _lot(answer: Predicted) -> float:
    """A pseudo-random number in [0, 1) for the answer."""
    drawn = hashlib.sha256(f"{answer.image}\n{answer.etag}".encode()).digest()
    return int.from_bytes(drawn[:8]) / 2**64


def _row(answer: Predicted, why: str) -> tuple[str, ...]:
    """In the order of COLUMNS. The model is `name:version`, by which a person filters."""
    best = answer.labels[0]
    model = answer.model.partition(":sha256:")[0]
    image, model, etag, label = map(escape_cell, (answer.image, model, answer.etag, best.label))
    return image, model, etag, label, repr(best.score), why, ""
