"""The report of a folder: predictions.csv, errors.jsonl, _summary.json and _report.html.

It merges streams that are sorted by image key: the inbox, the answers of this run's pages, those of
later reclassifications, and the previous table and errors. An answer is used for the image with its
ETag, and the latest one wins. Images that were deleted are left out. Memory does not grow with the
folder, and nothing is written to disk. The duration does grow: a million images are 1,000 LISTs and
2,000 GETs, which take some minutes. So an invocation works for `Limits.report_seconds` and stores
the position for the next one: the last image's key, and all counts.
"""

import json
from collections import Counter
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from aws.bucket import Bucket, Listed
from batch.claim import SUMMARY, Run, publish
from batch.context import Context
from batch.outcome import COLUMNS, Predicted, Refusal, answer_of, result_of, to_csv, to_line
from batch.planning.listing import ListedImage, is_settled_by_listing
from batch.reports import folder_page
from batch.reports.folder_page import PAGE, Gallery
from batch.reports.known import ERRORS, PREDICTIONS, KnownAnswers
from batch.reports.multipart import PartedFile
from batch.reports.review import Review, key_of
from batch.unreadable import OtherObjects, can_skip, is_certainly_denied
from domain.keys import INBOX, evaluation_key, folder_file, result_key
from domain.model import ModelId
from domain.result import Result, Version
from domain.route import Ignored, InFolder, route
from domain.scores.drift import bin_of, compare, make_histogram, parse_histogram
from domain.tables.writer import CONTENT_TYPE, write_header, write_rows

MOST_LABELS = 1_000
"""The most labels with a count of their own in the summary; the rest is one number."""

MOST_IGNORED = 1_000
"""The most ignored files that the summary names; of the others the reasons are counted."""


@dataclass
class Counts:
    """Counts of images. The results of `unlisted` ones were not read for this report; a later
    report may include them."""

    images: int = 0
    classified: int = 0
    rejected: int = 0
    unanswered: int = 0
    unlisted: int = 0
    ignored: int = 0
    ignored_reasons: Counter[str] = field(default_factory=Counter)
    ignored_files: list[dict[str, str]] = field(default_factory=list)
    labels: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    decisions: Counter[str] = field(default_factory=Counter)
    looked_up: int = 0
    model: str = ""
    """Whose scores are counted: the model that was active when the report was begun."""
    scores: list[int] = field(default_factory=lambda: make_histogram(()))
    drift: dict[str, Any] | None = None
    """`Drift.to_document`; None if there is nothing to compare with."""

    def to_json(self) -> dict[str, Any]:
        """The state; `resume` is the inverse."""
        return {item.name: getattr(self, item.name) for item in fields(self)}

    def resume(self, document: dict[str, Any]) -> None:
        for name, value in document.items():
            setattr(self, name, Counter(value) if isinstance(value, dict) else value)

    def add_ignored(self, key: str, reason: str) -> None:
        """There are few reasons, whatever the number of files."""
        self.ignored += 1
        self.ignored_reasons[reason] += 1
        if len(self.ignored_files) < MOST_IGNORED:
            self.ignored_files.append({"key": key, "reason": reason})

    def summary(self, run: Run) -> dict[str, Any]:
        """The document `_summary.json`."""
        counts: dict[str, Any] = {"schema": 1, "folder": INBOX + run.path, "run": run.nonce}
        for name in ("images", "classified", "rejected", "unanswered", "unlisted", "ignored"):
            counts[name] = getattr(self, name)
        counts["ignored_reasons"] = dict(self.ignored_reasons.most_common())
        counts["ignored_files"] = self.ignored_files
        ranked = sorted(self.labels.items(), key=lambda pair: (-pair[1], pair[0]))
        counts["labels"] = dict(ranked[:MOST_LABELS])
        counts["other_labels"] = sum(count for _, count in ranked[MOST_LABELS:])
        counts["codes"] = dict(sorted(self.codes.items()))
        if self.drift is not None:
            counts["drift"] = self.drift
        counts["decisions"] = dict(sorted(self.decisions.items()))
        return counts


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The time was not enough. `place`: the position to continue from."""

    place: dict[str, Any]


@dataclass
class FolderReport:
    """The files of a report while they are written. `after`: the last image that they include."""

    table: PartedFile
    errors: PartedFile
    review: Review = field(default_factory=Review)
    counts: Counts = field(default_factory=Counts)
    gallery: Gallery = field(default_factory=Gallery)
    after: str = ""
    is_filled: bool = False

    def begin(self) -> None:
        write_header(self.table, COLUMNS)

    def add(self, answer: Predicted | Refusal) -> None:
        self.gallery.add(answer)
        self.review.add(answer)
        match answer:
            case Predicted(labels=labels, decision=decision):
                write_rows(self.table, [to_csv(answer)])
                self.counts.decisions.update([decision] if decision else [])
                self.counts.classified += 1
                self.counts.labels.update(label.label for label in labels[:1])
                if labels and answer.model == self.counts.model:
                    self.counts.scores[bin_of(labels[0].score)] += 1
            case Refusal(code=code):
                self.errors.write(to_line(answer))
                self.counts.rejected += 1
                self.counts.codes[code] += 1

    def to_json(self) -> dict[str, Any]:
        """The state (a few megabytes); `resume` is the inverse."""
        return {
            "table": self.table.to_json(),
            "errors": self.errors.to_json(),
            "review": self.review.to_json(),
            "counts": self.counts.to_json(),
            "gallery": self.gallery.to_json(),
            "after": self.after,
            "is_filled": self.is_filled,
        }

    def resume(self, document: dict[str, Any]) -> None:
        self.table.resume(document["table"])
        self.errors.resume(document["errors"])
        self.review.resume(document["review"])
        self.counts.resume(document["counts"])
        self.gallery.resume(document["gallery"])
        self.after, self.is_filled = document["after"], document["is_filled"]


def write(
    context: Context, run: Run, place: dict[str, Any] | None, until: datetime
) -> Counts | Unfinished:
    """Write the report, from `place` on (None: from the beginning), until the time `until`.

    Publishing is left to the next invocation if filling has taken half of this one's time. Single
    images have no report. Raises RunClosedError if the run is no longer live.
    """
    if not run.scope.is_folder:
        return Counts()
    reports = FolderReport(_file(context, run, "table"), _file(context, run, "errors"))
    reports.review.below = context.review_below
    if place is None:
        reports.begin()
        reports.counts.model = str(context.active_model().id)
    else:
        reports.resume(place)
    if not reports.is_filled:
        known = KnownAnswers(context, run, reports.after, place and place["known"])
        _fill(context, run, reports, known, until)
        if context.now() > until - timedelta(seconds=context.limits.report_seconds / 2):
            return Unfinished(reports.to_json() | {"known": known.place()})
    _publish(context, run, reports)
    return reports.counts


def _file(context: Context, run: Run, name: str) -> PartedFile:
    prefix = run.keys.part(f"{name}-{context.new_nonce()}-")
    return PartedFile(context.bucket, prefix, context.limits.part_characters)


def _fill(
    context: Context, run: Run, reports: FolderReport, known: KnownAnswers, until: datetime
) -> None:
    for listed in context.bucket.walk(INBOX + run.path, reports.after):
        reports.after = listed.key
        match route(listed.key, context.folder_depth):
            case InFolder(folder=folder) if folder == run.scope:
                reports.counts.images += 1
                answer = known.latest(listed) or _read_answer(context, run, listed, reports.counts)
                if answer:
                    reports.add(answer)
            case Ignored(reason):
                reports.counts.add_ignored(listed.key, reason)
        if context.now() > until:
            return
    reports.is_filled = True


def _publish(context: Context, run: Run, reports: FolderReport) -> None:
    bucket, scope = context.bucket, run.scope
    reports.counts.drift = _drift(bucket, reports.counts)
    summary = reports.counts.summary(run)
    text = json.dumps(summary, ensure_ascii=False, indent=1)
    page = folder_page.page(run.file(PAGE), summary, reports.gallery, context.pictures())
    table, errors = reports.table.pieces, reports.errors.pieces
    publish(bucket, run, folder_file(scope, PREDICTIONS), table, CONTENT_TYPE)
    publish(bucket, run, folder_file(scope, ERRORS), errors, "application/jsonl")
    publish(bucket, run, run.file(PAGE), page, "text/html; charset=utf-8")
    publish(bucket, run, key_of(scope), reports.review.table(), CONTENT_TYPE)
    publish(bucket, run, folder_file(scope, SUMMARY), text)


def _drift(bucket: Bucket, counts: Counts) -> dict[str, Any] | None:
    """None without a histogram of the model's test images, as for the bundled model."""
    try:
        stored = bucket.read(evaluation_key(ModelId.parse(counts.model)))
        evaluation = json.loads(stored.body) if stored else {}
    except ClientError as error:
        if not is_certainly_denied(error):
            raise
        return None
    except ValueError:
        return None
    test = parse_histogram(evaluation.get("scores")) if isinstance(evaluation, dict) else None
    drift = compare(test, counts.scores) if test else None
    return drift.to_document() if drift else None


def _read_answer(
    context: Context, run: Run, image: Listed, counts: Counts
) -> Predicted | Refusal | None:
    """Read the result of an image that is in no stream, for up to `Limits.report_reads` images."""
    if counts.looked_up >= context.limits.report_reads:
        counts.unlisted += 1
        return None
    counts.looked_up += 1
    try:
        result = result_of(context.bucket, image.key)
    except ClientError as error:
        # A single unreadable result must not delay the report of all the others.
        others, key = OtherObjects(context.bucket), result_key(image.key)
        if not can_skip(error, key, others, _is_overdue(context, run)):
            raise
        counts.unlisted += 1
        return None
    if result is None or not _is_about(context, run, result, image):
        counts.unanswered += 1
        return None
    return answer_of(result)


def _is_overdue(context: Context, run: Run) -> bool:
    return context.is_overdue(run.started_at, context.limits.report_patience_seconds)


def _is_about(context: Context, run: Run, result: Result, image: Listed) -> bool:
    """Whether the result is about the current image; needs a HEAD for the version id.

    In a restored bucket the version ids are others: as for planning, a result that is newer than
    its image is then about it.
    """
    answered = result.source.version
    if not answered.id or not answered.is_same(Version(image.etag)):
        return answered.is_same(Version(image.etag))
    try:
        present = context.bucket.head(image.key)
    except ClientError as error:
        others = OtherObjects(context.bucket, by_head=True)
        if can_skip(error, image.key, others, _is_overdue(context, run)):
            return True  # without a HEAD there is only the ETag to compare
        raise
    if present is None or answered.is_same(present.version):
        return present is not None
    stored = context.bucket.head(result_key(image.key))
    return stored is not None and is_settled_by_listing(ListedImage(image, stored.listed))
