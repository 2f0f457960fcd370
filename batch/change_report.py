"""The report on a sweep, below `outbox/_reclassify/<run>/`: JSON, a CSV of flips, and a page."""

import csv
import io
import json
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import IO

from batch import answers, change_page
from batch.answer import Answer, Unanswered
from batch.changes import Change, Changes, merged
from batch.claim import Run, publish
from batch.cloud import Cloud
from batch.renewed import Renewed
from batch.review import Review, key_of
from domain.foreign import escape_cell
from domain.keys import INBOX

SUMMARY = "_summary.json"
FLIPS = "flips.csv"
PAGE = "_report.html"
COLUMNS = ("image", "before", "score_before", "after", "score_after")

MOST_ROWS = 1_000_000
"""Flips in the table; some 100 MB, which fits into what a function has of disk."""


def write(cloud: Cloud, run: Run) -> Changes:
    """Raises RunClosed where the run is no longer the live sweep."""
    with TemporaryFile("w+b") as table:
        review = Review(cloud.review_below)
        changes = _fill(cloud, run, table, review)
        if changes.images == 0 and run.kind == "unanswered":
            return changes  # it comes every day, and nothing was lost
        about = {"schema": 1, "prefix": INBOX + run.path, "run": run.nonce, "kind": run.kind}
        about |= {"started_at": run.started_at}
        summary = json.dumps(about | changes.to_json(), ensure_ascii=False, indent=1) + "\n"
        page = change_page.page(run, changes, cloud.thumbnail)
        publish(cloud.bucket, run, run.file(FLIPS), table, "text/csv")
        publish(cloud.bucket, run, key_of(run.scope), review.table(), "text/csv")
        publish(cloud.bucket, run, run.file(SUMMARY), summary)
        publish(cloud.bucket, run, run.file(PAGE), page, "text/html; charset=utf-8")
    return changes


def _fill(cloud: Cloud, run: Run, table: IO[bytes], review: Review) -> Changes:
    changes, text = Changes(), io.TextIOWrapper(table, encoding="utf-8", newline="")
    rows = csv.writer(text)
    rows.writerow(COLUMNS)
    for change in _changed(cloud, run, changes, review):
        if change.flipped and changes.flipped <= MOST_ROWS:
            rows.writerow(
                (
                    escape_cell(change.image),
                    escape_cell(change.before),
                    change.before_score,
                    escape_cell(change.after),
                    change.after_score,
                )
            )
    text.detach()  # a text layer that goes out of sight closes the file below it
    return changes


def _answers(cloud: Cloud, run: Run) -> Iterator[Answer]:
    bounds = cloud.bounds
    return answers.of_run(cloud.bucket, run, bounds.attempts, bounds.heads_at_once)


def _changed(cloud: Cloud, run: Run, changes: Changes, review: Review) -> Iterator[Change]:
    tables = Renewed(cloud, run)
    for answer, before in merged(_answers(cloud, run)):
        if not isinstance(answer, Unanswered):
            review.add(answer)
            tables.add(answer)
        change = changes.add(answer, before)
        if change:
            yield change
    tables.close()
