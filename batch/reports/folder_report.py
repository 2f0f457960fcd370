"""The report on a folder: predictions.csv, errors.jsonl, _summary.json and _report.html.

Streams in the order of image keys are read side by side: the inbox, what this run's pages answered,
what sweeps did since, and the previous table and errors. An answer counts for the image whose ETag
it carries, the latest one first; images that have left the inbox drop out. Memory does not grow
with the folder, and nothing is written to disk. Time does grow: a million images are a thousand
LISTs and two thousand GETs, some minutes. So an invocation works for `Bounds.report_seconds` and
leaves the place where the next goes on: the last image's key, and all that was counted and kept.
"""

import csv
import json
from collections import Counter
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from aws.bucket import Listed
from batch.claim import SUMMARY, Run, publish
from batch.context import Cloud
from batch.outcome import COLUMNS, Predicted, Refusal, answer_of, result_of, to_csv, to_line
from batch.reports import folder_page
from batch.reports.folder_page import PAGE, Gallery
from batch.reports.known import ERRORS, PREDICTIONS, Known
from batch.reports.multipart import PartedFile
from batch.reports.review import Review, key_of
from batch.unreadable import Others, denial_of, is_alone
from domain.keys import INBOX, folder_file, result_key
from domain.result import Result, Version
from domain.route import Ignored, InFolder, route

MOST_LABELS = 1_000
"""Labels that the summary counts one by one; the rest are one number."""


@dataclass
class Counts:
    """`unlisted` images were not looked up in this report: a later one may show their answers."""

    images: int = 0
    classified: int = 0
    rejected: int = 0
    unanswered: int = 0
    unlisted: int = 0
    ignored: int = 0
    labels: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    looked_up: int = 0

    def to_json(self) -> dict[str, Any]:
        """`go_on` is the inverse."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def go_on(self, told: dict[str, Any]) -> None:
        for name, value in told.items():
            setattr(self, name, Counter(value) if isinstance(value, dict) else value)

    def told(self, run: Run) -> dict[str, Any]:
        """What `_summary.json` says."""
        counts: dict[str, Any] = {"schema": 1, "folder": INBOX + run.path, "run": run.nonce}
        for name in ("images", "classified", "rejected", "unanswered", "unlisted", "ignored"):
            counts[name] = getattr(self, name)
        ranked = sorted(self.labels.items(), key=lambda pair: (-pair[1], pair[0]))
        counts["labels"] = dict(ranked[:MOST_LABELS])
        counts["other_labels"] = sum(count for _, count in ranked[MOST_LABELS:])
        counts["codes"] = dict(sorted(self.codes.items()))
        return counts


@dataclass(frozen=True, slots=True)
class Unfinished:
    """`place`: where to go on."""

    place: dict[str, Any]


@dataclass
class Reports:
    """The files of one report while they are written. `after`: the last image that is in them."""

    table: PartedFile
    errors: PartedFile
    review: Review = field(default_factory=Review)
    counts: Counts = field(default_factory=Counts)
    gallery: Gallery = field(default_factory=Gallery)
    after: str = ""
    is_filled: bool = False

    def __post_init__(self) -> None:
        self._writer = csv.writer(self.table)

    def begin(self) -> None:
        self._writer.writerow(COLUMNS)

    def add(self, answer: Predicted | Refusal) -> None:
        self.gallery.add(answer)
        self.review.add(answer)
        match answer:
            case Predicted(labels=labels):
                self._writer.writerow(to_csv(answer))
                self.counts.classified += 1
                self.counts.labels.update(label.label for label in labels[:1])
            case Refusal(code=code):
                self.errors.write(to_line(answer))
                self.counts.rejected += 1
                self.counts.codes[code] += 1

    def to_json(self) -> dict[str, Any]:
        """Some megabytes at most; `go_on` is the inverse."""
        return {
            "table": self.table.to_json(),
            "errors": self.errors.to_json(),
            "review": self.review.to_json(),
            "counts": self.counts.to_json(),
            "gallery": self.gallery.to_json(),
            "after": self.after,
            "is_filled": self.is_filled,
        }

    def go_on(self, told: dict[str, Any]) -> None:
        self.table.go_on(told["table"])
        self.errors.go_on(told["errors"])
        self.review.go_on(told["review"])
        self.counts.go_on(told["counts"])
        self.gallery.go_on(told["gallery"])
        self.after, self.is_filled = told["after"], told["is_filled"]


def write(
    cloud: Cloud, run: Run, place: dict[str, Any] | None, until: datetime
) -> Counts | Unfinished:
    """Raises RunClosed where the run is no longer the folder's; a single has no report.

    Publishing gets an invocation of its own where filling has taken half of this one's time.
    """
    if not run.scope.is_folder:
        return Counts()
    reports = Reports(_file(cloud, run, "table"), _file(cloud, run, "errors"))
    reports.review.below = cloud.review_below
    if place is None:
        reports.begin()
    else:
        reports.go_on(place)
    if not reports.is_filled:
        known = Known(cloud, run, reports.after, place and place["known"])
        _fill(cloud, run, reports, known, until)
        if cloud.now() > until - timedelta(seconds=cloud.bounds.report_seconds / 2):
            return Unfinished(reports.to_json() | {"known": known.place()})
    _publish(cloud, run, reports)
    return reports.counts


def _file(cloud: Cloud, run: Run, name: str) -> PartedFile:
    prefix = run.keys.part(f"{name}-{cloud.new_nonce()}-")
    return PartedFile(cloud.bucket, prefix, cloud.bounds.part_characters)


def _fill(cloud: Cloud, run: Run, reports: Reports, known: Known, until: datetime) -> None:
    for listed in cloud.bucket.walk(INBOX + run.path, reports.after):
        reports.after = listed.key
        match route(listed.key, cloud.folder_depth):
            case InFolder(folder=folder) if folder == run.scope:
                reports.counts.images += 1
                answer = known.latest(listed) or _read_answer(cloud, run, listed, reports.counts)
                if answer:
                    reports.add(answer)
            case Ignored():
                reports.counts.ignored += 1
        if cloud.now() > until:
            return
    reports.is_filled = True


def _publish(cloud: Cloud, run: Run, reports: Reports) -> None:
    bucket, scope = cloud.bucket, run.scope
    summary = reports.counts.told(run)
    text = json.dumps(summary, ensure_ascii=False, indent=1)
    page = folder_page.page(run.file(PAGE), summary, reports.gallery, cloud.pictures())
    table, errors = reports.table.pieces, reports.errors.pieces
    publish(bucket, run, folder_file(scope, PREDICTIONS), table, "text/csv")
    publish(bucket, run, folder_file(scope, ERRORS), errors, "application/jsonl")
    publish(bucket, run, run.file(PAGE), page, "text/html; charset=utf-8")
    publish(bucket, run, key_of(scope), reports.review.table(), "text/csv")
    publish(bucket, run, folder_file(scope, SUMMARY), text)


def _read_answer(
    cloud: Cloud, run: Run, image: Listed, counts: Counts
) -> Predicted | Refusal | None:
    """What the outbox says about an image that no stream knows; only so many are looked up."""
    if counts.looked_up >= cloud.bounds.report_reads:
        counts.unlisted += 1
        return None
    counts.looked_up += 1
    try:
        found = result_of(cloud.bucket, image.key)
    except ClientError as error:
        # One answer that cannot be read is no reason to hold up the report of all the others.
        if not _is_gone_on_from(cloud, run, error, Others(cloud.bucket), result_key(image.key)):
            raise
        counts.unlisted += 1
        return None
    if found is None or not _is_about(cloud, run, found, image):
        counts.unanswered += 1
        return None
    return answer_of(found)


def _is_gone_on_from(cloud: Cloud, run: Run, error: ClientError, others: Others, key: str) -> bool:
    """Whether the report goes without this object, because it alone is denied, or for too long."""
    denial = denial_of(error)
    return denial is not None and (
        denial.certain
        or cloud.is_overdue(run.started_at, cloud.bounds.report_patience_seconds)
        or is_alone(cloud.bucket, key)
        or others.are_read(key)
    )


def _is_about(cloud: Cloud, run: Run, found: Result, image: Listed) -> bool:
    """A listing tells no version id; a HEAD does."""
    answered = found.source.version
    if not answered.id or not answered.is_same(Version(image.etag)):
        return answered.is_same(Version(image.etag))
    try:
        present = cloud.bucket.head(image.key)
    except ClientError as error:
        others = Others(cloud.bucket, by_head=True)
        if _is_gone_on_from(cloud, run, error, others, image.key):
            return True  # of an image that HEAD does not show, the ETag is all there is
        raise
    return present is not None and answered.is_same(present.version)
