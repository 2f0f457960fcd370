"""The report on a folder: predictions.csv, errors.jsonl, _summary.json and _report.html.

Streams in the order of image keys are read side by side: the inbox, what this run's pages answered,
what sweeps did since, and the previous table and errors. An answer counts for the image whose ETag
it carries, the latest one first; images that have left the inbox drop out. Memory does not grow
with the folder. Disk does: a million images are some 200 MB. Time does: a million are a thousand
LISTs, some minutes, so that one invocation of 15 is enough for a few millions and no more.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from tempfile import TemporaryFile
from typing import IO, Any

from batch import answers, folder_page, renewed
from batch.answer import (
    COLUMNS,
    Answer,
    Predicted,
    Refusal,
    Unanswered,
    from_csv,
    in_outbox,
    refusals,
    to_csv,
    to_line,
)
from batch.bucket import Bucket, Listed
from batch.claim import SUMMARY, Run, publish
from batch.cloud import Cloud
from batch.folder_page import PAGE, Gallery
from batch.review import Review, key_of
from domain.keys import INBOX, folder_file
from domain.route import Ignored, InFolder, route

PREDICTIONS = "predictions.csv"
ERRORS = "errors.jsonl"
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


@dataclass
class Reports:
    """The files of one report while they are written."""

    table: io.TextIOWrapper
    errors: io.TextIOWrapper
    review: Review = field(default_factory=Review)
    counts: Counts = field(default_factory=Counts)
    gallery: Gallery = field(default_factory=Gallery)

    def __post_init__(self) -> None:
        self._writer = csv.writer(self.table)
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


class Sorted:
    """Answers in the order of image keys, asked for in that order."""

    def __init__(self, answers: Iterable[Answer]) -> None:
        self._answers = iter(answers)
        self._next = next(self._answers, None)

    def at(self, image: Listed) -> Predicted | Refusal | None:
        """The first answer for the image as it is; what precedes the image is passed over."""
        found: Predicted | Refusal | None = None
        while self._next is not None and self._next.image <= image.key:
            answer = self._next
            is_its = answer.image == image.key and answer.etag == image.etag
            if found is None and is_its and not isinstance(answer, Unanswered):
                found = answer
            self._next = next(self._answers, None)
        return found


def write(cloud: Cloud, run: Run) -> Counts:
    """Raises RunClosed where the run is no longer the folder's; a single has no report."""
    if not run.scope.is_folder:
        return Counts()
    with TemporaryFile("w+b") as table, TemporaryFile("w+b") as errors:
        reports = _fill(cloud, run, table, errors)
        summary = reports.counts.told(run)
        text = json.dumps(summary, ensure_ascii=False, indent=1)
        page = folder_page.page(run.file(PAGE), summary, reports.gallery, cloud.thumbnail)
        publish(cloud.bucket, run, folder_file(run.scope, PREDICTIONS), table, "text/csv")
        publish(cloud.bucket, run, folder_file(run.scope, ERRORS), errors, "application/jsonl")
        publish(cloud.bucket, run, run.file(PAGE), page, "text/html; charset=utf-8")
        publish(cloud.bucket, run, key_of(run.scope), reports.review.table(), "text/csv")
        publish(cloud.bucket, run, folder_file(run.scope, SUMMARY), text)
    return reports.counts


def _fill(cloud: Cloud, run: Run, table: IO[bytes], errors: IO[bytes]) -> Reports:
    reports = Reports(_text(table), _text(errors), Review(cloud.review_below))
    with ExitStack() as opened:
        known = _known(cloud, run, opened)
        for image in _images(cloud, run, reports.counts):
            answer = _latest(known, image) or _read_answer(cloud, image, reports.counts)
            if answer:
                reports.add(answer)
    # Detached, because a text layer that goes out of sight closes the file below it.
    reports.table.detach()
    reports.errors.detach()
    return reports


def _text(file: IO[bytes]) -> io.TextIOWrapper:
    return io.TextIOWrapper(file, encoding="utf-8", newline="")


def _known(cloud: Cloud, run: Run, opened: ExitStack) -> tuple[Sorted, ...]:
    """This run's answers, those of sweeps that went through the folder, and what was known."""
    table = _previous(cloud.bucket, run, PREDICTIONS, opened)
    errors = _previous(cloud.bucket, run, ERRORS, opened)
    return (
        Sorted(answers.of_run(cloud.bucket, run, cloud.bounds.attempts)),
        *(Sorted(sweep) for sweep in renewed.sweeps(cloud, run.scope)),
        Sorted(from_csv(table)),
        Sorted(refusals(errors)),
    )


def _latest(known: tuple[Sorted, ...], image: Listed) -> Predicted | Refusal | None:
    """Of one image's answers the one given last; where two were given at once, the first stream's.

    Every stream is asked: each passes over what precedes the image.
    """
    given = [answer for stream in known if (answer := stream.at(image))]
    return max(given, key=lambda answer: answer.at, default=None)


def _previous(bucket: Bucket, run: Run, name: str, opened: ExitStack) -> IO[str]:
    body = bucket.open(folder_file(run.scope, name))
    return opened.enter_context(_text(body) if body else io.StringIO())


def _images(cloud: Cloud, run: Run, counts: Counts) -> Iterator[Listed]:
    for listed in cloud.bucket.walk(INBOX + run.path):
        match route(listed.key, cloud.folder_depth):
            case InFolder(folder=folder) if folder == run.scope:
                counts.images += 1
                yield listed
            case Ignored():
                counts.ignored += 1


def _read_answer(cloud: Cloud, image: Listed, counts: Counts) -> Predicted | Refusal | None:
    """What the outbox says about an image that no stream knows; only so many are looked up."""
    if counts.looked_up >= cloud.bounds.report_reads:
        counts.unlisted += 1
        return None
    counts.looked_up += 1
    answer = in_outbox(cloud.bucket, image.key)
    if answer is None or answer.etag != image.etag:
        counts.unanswered += 1
        return None
    return answer
