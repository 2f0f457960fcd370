"""Count what a reclassification changed, image by image, in limited memory.

A million images are 2,000 GETs of page records, 16 at a time, and about ten seconds of counting.
Memory holds counts and the MOST_FLIPS flips with the highest scores.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, field, fields
from itertools import groupby
from typing import Any

from batch.outcome import Answer, Predicted, PreviousAnswer, Refusal, Unanswered

MOST_COUNTED = 2_000
"""The most labels and codes with a count of their own; the rest is counted as OTHERS."""

MOST_PAIRS = 20_000
MOST_FLIPS = 100
OTHERS = "(others)"
BINS = 20
"""The bins of the histograms of scores, each 0.05 wide."""


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One image's answer before and after; sorted by the new score (`sure`)."""

    sure: float
    image: str
    before: str
    before_score: float | None
    after: str
    after_score: float | None

    @property
    def flipped(self) -> bool:
        return self.before != self.after


@dataclass
class Changes:
    """Counts of images. `first`: without an earlier result for this version. `renewed`: with one.
    `flipped`: renewed with another label or code."""

    images: int = 0
    first: int = 0
    renewed: int = 0
    flipped: int = 0
    rejected: int = 0
    unanswered: int = 0
    matrix: Counter[tuple[str, str]] = field(default_factory=Counter)
    before: Counter[str] = field(default_factory=Counter)
    after: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    scores_before: Counter[int] = field(default_factory=Counter)
    scores_after: Counter[int] = field(default_factory=Counter)
    stayed: int = 0
    moved: float = 0.0
    """`stayed` counts images that kept their label; `moved` is the sum of their score changes."""
    flips: list[Change] = field(default_factory=list)
    models: Counter[str] = field(default_factory=Counter)

    @property
    def flipped_percent(self) -> float:
        return 100 * self.flipped / self.renewed if self.renewed else 0.0

    @property
    def mean_shift(self) -> float:
        """The mean change of the score of images that kept their label."""
        return self.moved / self.stayed if self.stayed else 0.0

    @property
    def most_confident(self) -> list[Change]:
        """Flips in descending order of their new score."""
        return sorted(self.flips, key=lambda flip: (-flip.sure, flip.image))

    def add(self, answer: Answer, before: PreviousAnswer | None) -> Change | None:
        """Count an answer; returns the change if there was an answer before."""
        self.images += 1
        if isinstance(answer, Unanswered):
            self.unanswered += 1
            return None
        label, score = _label_or_code(answer)
        self._count_after(answer, label, score)
        if before is None:
            self.first += 1
            return None
        change = Change(
            score or 0.0, answer.image, before.label_or_code, before.score, label, score
        )
        self._compare(change)
        return change

    def _count_after(self, answer: Predicted | Refusal, label: str, score: float | None) -> None:
        if isinstance(answer, Refusal):
            self.rejected += 1
            _tally(self.codes, label, MOST_COUNTED, OTHERS)
        else:
            _tally(self.after, label, MOST_COUNTED, OTHERS)
            self.scores_after[_bin(score)] += 1
        _tally(self.models, answer.model or "", MOST_COUNTED, OTHERS)

    def _compare(self, change: Change) -> None:
        self.renewed += 1
        _tally(self.before, change.before, MOST_COUNTED, OTHERS)
        if change.before_score is not None:
            self.scores_before[_bin(change.before_score)] += 1
        _tally(self.matrix, (change.before, change.after), MOST_PAIRS, (OTHERS, OTHERS))
        if change.flipped:
            self._flip(change)
        elif change.after_score is not None and change.before_score is not None:
            self.stayed += 1
            self.moved += change.after_score - change.before_score

    def _flip(self, change: Change) -> None:
        self.flipped += 1
        heapq.heappush(self.flips, change)
        if len(self.flips) > MOST_FLIPS:
            heapq.heappop(self.flips)

    def place(self) -> dict[str, Any]:
        """The state, for another process to continue; `resume` is the inverse."""
        document = {item.name: getattr(self, item.name) for item in fields(self)}
        document["matrix"] = [(before, after, n) for (before, after), n in self.matrix.items()]
        for name in ("scores_before", "scores_after"):
            document[name] = [*getattr(self, name).items()]
        return document | {"flips": [astuple(flip) for flip in self.flips]}

    def resume(self, document: dict[str, Any]) -> None:
        for name, value in document.items():
            setattr(self, name, Counter(value) if isinstance(value, dict) else value)
        self.matrix = Counter({(before, after): n for before, after, n in document["matrix"]})
        self.scores_before = Counter(dict(document["scores_before"]))
        self.scores_after = Counter(dict(document["scores_after"]))
        self.flips = [Change(*flip) for flip in document["flips"]]

    def to_json(self) -> dict[str, Any]:
        return {
            "images": self.images,
            "first_answers": self.first,
            "renewed": self.renewed,
            "flipped": self.flipped,
            "flipped_percent": round(self.flipped_percent, 3),
            "rejected": self.rejected,
            "unanswered": self.unanswered,
            "mean_score_shift": round(self.mean_shift, 6),
            "models": dict(self.models.most_common()),
            "before": dict(self.before.most_common()),
            "after": dict(self.after.most_common()),
            "codes": dict(self.codes.most_common()),
            "matrix": [
                {"from": pair[0], "to": pair[1], "images": count}
                for pair, count in self.matrix.most_common()
            ],
            "scores_before": [self.scores_before[number] for number in range(BINS)],
            "scores_after": [self.scores_after[number] for number in range(BINS)],
        }


def merge_attempts(answers: Iterable[Answer]) -> Iterator[tuple[Answer, PreviousAnswer | None]]:
    """Merge attempts: for each image, its last answer and the answer before its first attempt.

    `answers` are sorted by key, and for each image the latest attempt comes first. If a model is
    promoted during a reclassification, an image is answered twice; only the total change counts.
    """
    for _, group in groupby(answers, key=lambda answer: answer.image):
        attempts = list(group)
        last = next(
            (answer for answer in attempts if not isinstance(answer, Unanswered)), attempts[0]
        )
        earliest = (_before(answer) for answer in reversed(attempts) if answer.etag == last.etag)
        yield last, next((before for before in earliest if before), None)


def _before(answer: Answer) -> PreviousAnswer | None:
    return None if isinstance(answer, Unanswered) else answer.before


def _label_or_code(answer: Predicted | Refusal) -> tuple[str, float | None]:
    match answer:
        case Predicted(labels=(best, *_)):
            return best.label, best.score
        case Refusal(code=code):
            return code, None
        case _:
            return "", 0.0


def _bin(score: float | None) -> int:
    return min(BINS - 1, int((score or 0.0) * BINS))


def _tally(counts: Counter[Any], key: Any, most: int, others: Any) -> None:
    counts[key if key in counts or len(counts) < most else others] += 1
