"""The report on a sweep, below `outbox/_reclassify/<run>/`: JSON, a CSV of flips, and a page.

Written over several invocations where the sweep was large, as a folder's is:
`batch/reports/folder_report.py`.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from batch.claim import Run, publish
from batch.context import Cloud
from batch.outcome import Answer, Unanswered
from batch.reports import change_page, outcomes
from batch.reports.changes import Change, Changes, merged
from batch.reports.folder_report import Unfinished
from batch.reports.multipart import PartedFile
from batch.reports.reclassified import Renewed
from batch.reports.review import Review, key_of
from domain.foreign import escape_cell
from domain.keys import INBOX

SUMMARY = "_summary.json"
FLIPS = "flips.csv"
PAGE = "_report.html"
COLUMNS = ("image", "before", "score_before", "after", "score_after")

MOST_ROWS = 1_000_000
"""Flips in the table: some 100 MB, which a spreadsheet still opens."""


@dataclass
class Sweeping:
    """What becomes of a sweep's report. `after`: the last image that is counted in it."""

    table: PartedFile
    tables: Renewed
    review: Review
    changes: Changes = field(default_factory=Changes)
    after: str = ""
    is_filled: bool = False

    def add(self, change: Change) -> None:
        if change.flipped and self.changes.flipped <= MOST_ROWS:
            csv.writer(self.table).writerow(
                (
                    escape_cell(change.image),
                    escape_cell(change.before),
                    change.before_score,
                    escape_cell(change.after),
                    change.after_score,
                )
            )

    def to_json(self) -> dict[str, Any]:
        return {
            "table": self.table.to_json(),
            "tables": self.tables.to_json(),
            "review": self.review.to_json(),
            "changes": self.changes.place(),
            "after": self.after,
            "is_filled": self.is_filled,
        }

    def go_on(self, told: dict[str, Any]) -> None:
        self.table.go_on(told["table"])
        self.tables.go_on(told["tables"])
        self.review.go_on(told["review"])
        self.changes.go_on(told["changes"])
        self.after, self.is_filled = told["after"], told["is_filled"]


def write(
    cloud: Cloud, run: Run, place: dict[str, Any] | None, until: datetime
) -> Changes | Unfinished:
    """Raises RunClosed where the run is no longer the live sweep."""
    prefix = run.keys.part(f"flips-{cloud.new_nonce()}-")
    table = PartedFile(cloud.bucket, prefix, cloud.bounds.part_characters)
    sweeping = Sweeping(table, Renewed(cloud, run), Review(cloud.review_below))
    if place is None:
        csv.writer(table).writerow(COLUMNS)
    else:
        sweeping.go_on(place)
    if not sweeping.is_filled:
        _fill(cloud, run, sweeping, until)
        if cloud.now() > until - timedelta(seconds=cloud.bounds.report_seconds / 2):
            return Unfinished(sweeping.to_json())
    if sweeping.changes.images or run.kind != "unanswered":  # that comes every day
        _publish(cloud, run, sweeping)
    return sweeping.changes


def _publish(cloud: Cloud, run: Run, sweeping: Sweeping) -> None:
    bucket, changes = cloud.bucket, sweeping.changes
    about = {"schema": 1, "prefix": INBOX + run.path, "run": run.nonce, "kind": run.kind}
    about |= {"started_at": run.started_at}
    summary = json.dumps(about | changes.to_json(), ensure_ascii=False, indent=1) + "\n"
    page = change_page.page(run, changes, cloud.pictures())
    publish(bucket, run, run.file(FLIPS), sweeping.table.pieces, "text/csv")
    publish(bucket, run, key_of(run.scope), sweeping.review.table(), "text/csv")
    publish(bucket, run, run.file(SUMMARY), summary)
    publish(bucket, run, run.file(PAGE), page, "text/html; charset=utf-8")


def _answers(cloud: Cloud, run: Run, after: str) -> Iterator[Answer]:
    bounds, bucket = cloud.bounds, cloud.bucket
    told = outcomes.of_run(bucket, run, bounds.attempts, bounds.heads_at_once, after)
    return (answer for answer in told if answer.image > after)


def _fill(cloud: Cloud, run: Run, sweeping: Sweeping, until: datetime) -> None:
    for answer, before in merged(_answers(cloud, run, sweeping.after)):
        sweeping.after = answer.image
        if not isinstance(answer, Unanswered):
            sweeping.review.add(answer)
            sweeping.tables.add(answer)
        change = sweeping.changes.add(answer, before)
        if change:
            sweeping.add(change)
        if cloud.now() > until:
            return
    sweeping.tables.close()
    sweeping.is_filled = True
