"""Known answers of a folder's images, as resumable streams sorted by image key.

A position in a stream need not be exact, because entries before the requested image are skipped.
"""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from aws.bucket import Bucket, Listed
from batch.claim import Run
from batch.context import Context
from batch.outcome import Answer, Predicted, Refusal, Unanswered, from_csv, predictions, refusals
from batch.planning.listing import DOUBT
from batch.reports import outcomes as answers
from batch.reports import reclassified
from batch.unreadable import denial_of, is_certainly_denied
from domain import timestamps
from domain.keys import folder_file

PREDICTIONS = "predictions.csv"
ERRORS = "errors.jsonl"

SPAN_BYTES = 8 * 2**20
LONGEST_LINE = 2**20
"""In bytes; our lines have some thousands. Reading a file stops at a longer line."""


class AnswerStream:
    """Answers sorted by image key, to be requested in that order.

    `gave_up`: the latest entry for the last requested image is that it could not be answered.
    """

    gave_up: bool = False

    def __init__(self, answers: Iterable[Answer]) -> None:
        self._answers = iter(answers)
        self._next = next(self._answers, None)

    def at(self, image: Listed) -> Predicted | Refusal | None:
        """The first answer for this version of the image; entries before the image are skipped."""
        latest: Predicted | Refusal | None = None
        self.gave_up = False
        while self._next is not None and self._next.image <= image.key:
            answer = self._next
            is_its = answer.image == image.key and answer.etag == image.etag
            if is_its and isinstance(answer, Unanswered):
                self.gave_up |= latest is None
            elif is_its and latest is None and not isinstance(answer, Unanswered):
                latest = answer
            self._next = next(self._answers, None)
        return latest


@dataclass
class Lines:
    """The lines of a large object from byte `place` on, read in chunks of some megabytes.

    `place` is the beginning of the last record that was returned, which a resumed reader gets
    again.
    """

    bucket: Bucket
    key: str
    etag: str
    size: int
    place: int = 0
    span: int = SPAN_BYTES
    _end: int = 0

    def rows(self) -> Iterator[list[str]]:
        """The rows of a CSV file. csv.reader consumes no more lines than a row needs."""
        reader = csv.reader(self._lines())
        begins = self._end = self.place
        while True:
            try:
                row = next(reader, None)
            except csv.Error:
                return
            if row is None:
                return
            self.place, begins = begins, self._end
            yield row

    def lines(self) -> Iterator[str]:
        begins = self._end = self.place
        for line in self._lines():
            self.place, begins = begins, self._end
            yield line

    def _lines(self) -> Iterator[str]:
        at, rest = self.place, b""
        while at < self.size:
            span = self.bucket.span(self.key, self.etag, at, self.span)
            if not span:
                return  # it was replaced meanwhile; missing answers are read from the outbox
            at += len(span)
            *whole, rest = (rest + span).split(b"\n")
            for line in whole:
                self._end += len(line) + 1
                yield line.decode(errors="replace") + "\n"
            if len(rest) > LONGEST_LINE:
                return
        if rest:
            self._end += len(rest)
            yield rest.decode(errors="replace")


class KnownAnswers:
    """The answers of this run, of later reclassifications, and of the previous report's files."""

    def __init__(
        self, context: Context, run: Run, after: str, place: dict[str, Any] | None
    ) -> None:
        """`place`: the return value of `place()` after the image `after` was requested, or None."""
        limits = context.limits
        own = answers.read_run(
            context.bucket, run, limits.most_attempts, limits.heads_at_once, after
        )
        keys = {name: folder_file(run.scope, name) for name in (PREDICTIONS, ERRORS)}
        if place is None:
            files = {name: _whole(context.bucket, key) for name, key in keys.items()}
            self._sweeps = reclassified.read_reclassified(context, run.scope)
        else:
            places = {name: place[name] for name in keys}
            files = {
                name: Lines(context.bucket, key, *places[name]) if places[name] else None
                for name, key in keys.items()
            }
            self._sweeps = [reclassified.resume(context, run.scope, key) for key in place["sweeps"]]
        self._files = {name: file and _if_read(context, run, file) for name, file in files.items()}
        self._streams = (
            AnswerStream(own),
            *(AnswerStream(sweep.answers()) for sweep in self._sweeps),
            AnswerStream(_table(self._files[PREDICTIONS])),
            AnswerStream(_errors(self._files[ERRORS])),
        )

    def latest(self, image: Listed) -> Predicted | Refusal | None:
        """The latest answer for the image, by time; of two with the same time, the first stream's.

        Every stream is advanced to the image. None if the outbox has to be read instead: there is
        no answer, the run could not answer the image, or the answer is older than the image (the
        ETag alone does not distinguish an image from an earlier one with the same bytes).
        """
        answers = [answer for stream in self._streams if (answer := stream.at(image))]
        if not answers or any(stream.gave_up for stream in self._streams):
            return None
        last = max(answers, key=lambda answer: answer.at)
        return None if _is_older(last, image) else last

    def place(self) -> dict[str, Any]:
        files = {
            name: file and [file.etag, file.size, file.place] for name, file in self._files.items()
        }
        return {**files, "sweeps": [sweep.place for sweep in self._sweeps]}


def _is_older(answer: Predicted | Refusal, image: Listed) -> bool:
    """Whether the answer is older than the image. Unknown, and so False, for multipart uploads,
    whose time is their start."""
    try:
        at = timestamps.parse(answer.at)
    except ValueError:
        return True  # a table that somebody has edited
    return "-" not in image.etag and at < image.last_modified - DOUBT


def _whole(bucket: Bucket, key: str) -> Lines | None:
    head = bucket.head(key)
    return Lines(bucket, key, head.listed.etag, head.listed.size) if head else None


def _if_read(context: Context, run: Run, file: Lines) -> Lines | None:
    """The file, or None if S3 denies it; its answers are then read from the outbox.

    A lifecycle rule may have archived the file, or its KMS key may be deleted.
    """
    try:
        if file.size:
            context.bucket.span(file.key, file.etag, 0, 1)
    except ClientError as error:
        patience = context.limits.report_patience_seconds
        is_overdue = denial_of(error) and context.is_overdue(run.started_at, patience)
        if not is_certainly_denied(error) and not is_overdue:
            raise
        return None
    return file


def _table(file: Lines | None) -> Iterator[Predicted]:
    """The header is expected only if the file is read from its beginning."""
    if file is None:
        return iter(())
    return predictions(file.rows()) if file.place else from_csv(file.rows())


def _errors(file: Lines | None) -> Iterator[Refusal]:
    return refusals(file.lines()) if file else iter(())
