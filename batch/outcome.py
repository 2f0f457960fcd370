"""Outcomes of rows, one JSON line each: what a page records for the report."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from aws.bucket import Bucket
from batch.unreadable import is_certainly_denied
from domain import result
from domain.foreign import escape_cell, unescape_cell
from domain.keys import result_key
from domain.model import Decision, read_decision
from domain.reply import Label
from domain.result import Classified, Previous, Rejected, Result
from domain.tables.writer import BOM

TOP_LABELS = 3
"""The number of labels that a line keeps; the result in the outbox has all of them."""

COLUMNS = (
    *("image", "label", "score", "label_2", "score_2", "label_3", "score_3"),
    *("model", "etag", "classified_at", "decision"),
)
WITHOUT_DECISION = COLUMNS[:-1]
"""Of tables that an earlier release wrote."""


@dataclass(frozen=True, slots=True)
class PreviousAnswer:
    """The answer of another model for the same image: a label, or the code of a rejection.

    `score` is None for a rejection.
    """

    label_or_code: str
    score: float | None
    model: str


@dataclass(frozen=True, slots=True)
class Predicted:
    """A classified image; `labels` has at most TOP_LABELS, best first."""

    image: str
    etag: str
    labels: tuple[Label, ...]
    model: str
    at: str
    before: PreviousAnswer | None = None
    decision: Decision | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rejected image; `model` is None if no model saw it."""

    image: str
    etag: str
    code: str
    message: str
    model: str | None
    at: str
    before: PreviousAnswer | None = None


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The image is still the planned version, and there is no answer for it; `why` says why."""

    image: str
    etag: str
    why: str


Answer = Predicted | Refusal | Unanswered
A = TypeVar("A", Predicted, Refusal, Unanswered)


def answer_of(outcome: Result) -> Predicted | Refusal:
    """The short form of a result."""
    image, etag, at = outcome.image, outcome.source.etag, outcome.how.at
    before = _before(outcome.previous) if outcome.previous else None
    match outcome:
        case Classified():
            labels, model = outcome.labels[:TOP_LABELS], str(outcome.by.model)
            return Predicted(image, etag, labels, model, at, before, outcome.decision)
        case Rejected():
            by = str(outcome.by.model) if outcome.by else None
            return Refusal(image, etag, outcome.code, outcome.message, by, at, before)


def _before(previous: Previous) -> PreviousAnswer:
    match previous.answer:
        case Label(label, score):
            return PreviousAnswer(label, score, str(previous.model))
        case code:
            return PreviousAnswer(code, None, str(previous.model))


def in_outbox(bucket: Bucket, image: str) -> Predicted | Refusal | None:
    """The image's result in the outbox; None if it is absent, archived or of an unknown schema."""
    try:
        stored = result_of(bucket, image)
    except ClientError as error:
        if not is_certainly_denied(error):
            raise
        return None
    return answer_of(stored) if stored else None


def result_of(bucket: Bucket, image: str) -> Result | None:
    """The result of an image, by its inbox key; None as in `result_at`."""
    return result_at(bucket, result_key(image))


def result_at(bucket: Bucket, key: str) -> Result | None:
    """Read the result under `key`; None if it is absent or of an unknown schema."""
    stored = bucket.read(key)
    try:
        return result.from_json(stored.body) if stored else None
    except ValueError:
        return None


def to_line(answer: Answer) -> str:
    """One line of JSON, with its line feed."""
    fields = asdict(answer)
    if fields.get("decision", ...) is None:
        del fields["decision"]
    before = fields.pop("before", None)
    if before:
        fields["before"] = {"said": before.pop("label_or_code"), **before}
    return json.dumps(fields, ensure_ascii=False) + "\n"


def from_line(line: str) -> Answer:
    """The inverse of `to_line`."""
    fields: dict[str, Any] = json.loads(line)
    if "before" in fields:
        before = fields.pop("before")
        fields["before"] = PreviousAnswer(before.pop("said"), **before)
    match fields:
        case {"why": _}:
            return Unanswered(**fields)
        case {"code": _}:
            return Refusal(**fields)
        case _:
            labels = tuple(Label(**label) for label in fields.pop("labels"))
            return Predicted(labels=labels, **fields)


def from_lines(text: str) -> list[Answer]:
    """Split at line feeds only: JSON escapes them, but keys may contain other line breaks."""
    return [from_line(line) for line in text.split("\n") if line]


def answers_of_type(kind: type[A], lines: Iterable[str]) -> list[A]:
    """The answers of one class in these lines."""
    return [answer for line in lines if isinstance(answer := from_line(line), kind)]


def to_csv(answer: Predicted) -> list[str]:
    """The row of `predictions.csv`, in the order of COLUMNS."""
    cells = [cell for best in answer.labels for cell in (best.label, repr(best.score))]
    cells += [""] * (2 * TOP_LABELS - len(cells))
    row = [answer.image, *cells, answer.model, answer.etag, answer.at, answer.decision or ""]
    return [escape_cell(cell) for cell in row]


def from_csv(rows: Iterator[list[str]]) -> Iterator[Predicted]:
    """The inverse of a table of COLUMNS and `to_csv` rows; yields nothing for other columns."""
    first, *others = next(rows, []) or [""]
    if (first.removeprefix(BOM), *others) in (COLUMNS, WITHOUT_DECISION):
        yield from predictions(rows)


def predictions(rows: Iterable[list[str]]) -> Iterator[Predicted]:
    """Parse rows of `to_csv`; rows of another form are skipped."""
    for row in rows:
        if len(row) == len(WITHOUT_DECISION):
            row = [*row, ""]
        if len(row) != len(COLUMNS):
            continue
        image, *cells, model, etag, at, decision = map(unescape_cell, row)
        pairs = zip(cells[::2], cells[1::2], strict=True)
        try:
            labels = tuple(Label(label, float(score)) for label, score in pairs if score)
            decided = read_decision(decision or None)
        except ValueError:
            continue
        yield Predicted(image, etag, labels, model, at, decision=decided)


def refusals(lines: Iterable[str]) -> Iterator[Refusal]:
    """The rejections among lines of `to_line`; lines of another form are skipped."""
    for line in lines:
        try:
            answer = from_line(line)
        except (ValueError, TypeError, KeyError):
            continue
        if isinstance(answer, Refusal):
            yield answer
