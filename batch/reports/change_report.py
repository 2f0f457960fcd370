"""The report of a reclassification below `outbox/_reclassify/<run>/`: JSON, a CSV of changed labels
("flips"), and an HTML page.

Like a folder's report (`folder_report`), it is written over several invocations if it is large.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from batch.claim import Run, publish
from batch.context import Context
from batch.outcome import Answer, Unanswered
from batch.reports import change_page, outcomes
from batch.reports.changes import Change, Changes, merge_attempts
from batch.reports.folder_report import Unfinished
from batch.reports.multipart import PartedFile
from batch.reports.reclassified import ReclassifiedAnswers
from batch.reports.review import Review, key_of
from domain.foreign import escape_cell
from domain.keys import INBOX
from domain.tables.writer import CONTENT_TYPE, write_header, write_rows

SUMMARY = "_summary.json"
FLIPS = "flips.csv"
PAGE = "_report.html"
COLUMNS = ("image", "before", "score_before", "after", "score_after")

MOST_ROWS = 1_000_000
"""The most flips in the table: about 100 MB, which a spreadsheet can still open."""


@dataclass
class ChangeReport:
    """A report while it is written. `after`: the key of the last image that it includes."""

    table: PartedFile
    tables: ReclassifiedAnswers
    review: Review
    changes: Changes = field(default_factory=Changes)
    after: str = ""
    is_filled: bool = False

    def add(self, change: Change) -> None:
        if change.flipped and self.changes.flipped <= MOST_ROWS:
            row = (
                escape_cell(change.image),
                escape_cell(change.before),
                change.before_score,
                escape_cell(change.after),
                change.after_score,
            )
            write_rows(self.table, [row])

    def to_json(self) -> dict[str, Any]:
        return {
            "table": self.table.to_json(),
            "tables": self.tables.to_json(),
            "review": self.review.to_json(),
            "changes": self.changes.place(),
            "after": self.after,
            "is_filled": self.is_filled,
        }

    def resume(self, document: dict[str, Any]) -> None:
        self.table.resume(document["table"])
        self.tables.resume(document["tables"])
        self.review.resume(document["review"])
        self.changes.resume(document["changes"])
        self.after, self.is_filled = document["after"], document["is_filled"]


def write(
    context: Context, run: Run, place: dict[str, Any] | None, until: datetime
) -> Changes | Unfinished:
    """Write the report, from `place` on (None: from the beginning), until the time `until`.

    Raises RunClosedError if the run is no longer live.
    """
    prefix = run.keys.part(f"flips-{context.new_nonce()}-")
    table = PartedFile(context.bucket, prefix, context.limits.part_characters)
    sweeping = ChangeReport(table, ReclassifiedAnswers(context, run), Review(context.review_below))
    if place is None:
        write_header(table, COLUMNS)
    else:
        sweeping.resume(place)
    if not sweeping.is_filled:
        _fill(context, run, sweeping, until)
        if context.now() > until - timedelta(seconds=context.limits.report_seconds / 2):
            return Unfinished(sweeping.to_json())
    if sweeping.changes.images or run.kind != "unanswered":  # no empty report every day
        _publish(context, run, sweeping)
    return sweeping.changes


def _publish(context: Context, run: Run, sweeping: ChangeReport) -> None:
    bucket, changes = context.bucket, sweeping.changes
    about = {"schema": 1, "prefix": INBOX + run.path, "run": run.nonce, "kind": run.kind}
    about |= {"started_at": run.started_at}
    summary = json.dumps(about | changes.to_json(), ensure_ascii=False, indent=1) + "\n"
    page = change_page.page(run, changes, context.pictures())
    publish(bucket, run, run.file(FLIPS), sweeping.table.pieces, CONTENT_TYPE)
    publish(bucket, run, key_of(run.scope), sweeping.review.table(), CONTENT_TYPE)
    publish(bucket, run, run.file(SUMMARY), summary)
    publish(bucket, run, run.file(PAGE), page, "text/html; charset=utf-8")


def _answers(context: Context, run: Run, after: str) -> Iterator[Answer]:
    limits, bucket = context.limits, context.bucket
    answers = outcomes.read_run(bucket, run, limits.most_attempts, limits.heads_at_once, after)
    return (answer for answer in answers if answer.image > after)


def _fill(context: Context, run: Run, sweeping: ChangeReport, until: datetime) -> None:
    for answer, before in merge_attempts(_answers(context, run, sweeping.after)):
        sweeping.after = answer.image
        if not isinstance(answer, Unanswered):
            sweeping.review.add(answer)
            sweeping.tables.add(answer)
        change = sweeping.changes.add(answer, before)
        if change:
            sweeping.add(change)
        if context.now() > until:
            return
    sweeping.tables.close()
    sweeping.is_filled = True
