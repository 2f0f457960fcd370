"""Review lists: those of the runs in `outbox/_review/`, and those that a person has filled in."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

from aws import active_model
from aws.bucket import Bucket
from batch.reports.review import COLUMNS, PREFIX, REASONS, key_of
from domain.errors import SortboxError
from domain.foreign import escape_cell
from domain.keys import INBOX, folder_prefix
from domain.scope import Scope
from domain.tables import reader
from domain.tables.writer import BOM

ANY_MODEL = "any"
ACTIVE_MODEL = "active"

NEEDED = ("image", "etag", "corrected")


class ReviewError(SortboxError):
    """The list is invalid or cannot be read; the message is for the user."""


@dataclass(frozen=True, slots=True)
class ReviewEntry:
    """An image of a list. `corrected` is empty if the user has not entered a label.

    `model` is `name:version`, and empty in lists that do not name it.
    """

    image: str
    etag: str
    corrected: str
    model: str = ""
    label: str = ""
    score: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class ReviewFilter:
    """Which entries to take. `folder`: `inbox/trip/`, or `inbox/` for all.

    `model`: a name, a `name:version`, or ANY_MODEL.
    """

    folder: str = INBOX
    model: str = ANY_MODEL

    def takes(self, entry: ReviewEntry) -> bool:
        names = (ANY_MODEL, entry.model, entry.model.partition(":")[0])
        return entry.image.startswith(self.folder) and self.model in names


def filter_of(bucket: Bucket, folder: str, model: str) -> ReviewFilter:
    """The filter for the words of a command line. `model` may also be ACTIVE_MODEL.

    Before any model is active, ACTIVE_MODEL takes every entry.
    """
    if model == ACTIVE_MODEL:
        active = active_model.read(bucket.client, bucket.name).active
        model = f"{active.id.name}:{active.id.version}" if active else ANY_MODEL
    return ReviewFilter(folder_prefix(folder), model)


def read_lists(bucket: Bucket, folder: str = INBOX) -> Iterator[ReviewEntry]:
    """The entries of the runs' lists; an image that is in several lists is yielded once.

    A list has some 500 entries. With a folder, only its list is read, the lists of the folders that
    it may be part of, and that of the last reclassification: there may be a million folders.
    """
    images = set()
    for key in _keys(bucket, folder):
        stored = bucket.read(key)
        for entry in parse(stored.body, key)[0] if stored else ():
            if entry.image.startswith(folder) and entry.image not in images:
                images.add(entry.image)
                yield entry


def _keys(bucket: Bucket, folder: str) -> Iterator[str]:
    if folder == INBOX:
        yield from (item.key for item in bucket.walk(PREFIX))
        return
    segments = folder.removeprefix(INBOX).strip("/").split("/")
    for depth in range(1, len(segments) + 1):
        yield key_of(Scope("".join(f"{segment}/" for segment in segments[:depth])))
    yield key_of(Scope("", "renewal"))


def parse(body: bytes, name: str, encoding: str = "") -> tuple[list[ReviewEntry], str]:
    """The entries of a list, as the run has written it or as a spreadsheet has saved it, and its
    encoding.

    Raises TableError if it is no table, and ReviewError if it is not a review list.
    """
    others = [item.name for item in fields(ReviewEntry) if item.name not in NEEDED]
    table = reader.read(body, name, NEEDED, others, encoding)
    for row in table.rows:
        if not row.cells["image"].startswith(INBOX):
            raise ReviewError(f"line {row.line} of {name} names no image of {INBOX}")
    cells = (dict(row.cells) for row in table.rows)
    entries = [ReviewEntry(**row | {"corrected": row["corrected"].strip()}) for row in cells]
    return entries, table.encoding


def select(bucket: Bucket, folder: str, model: str) -> tuple[list[ReviewEntry], int]:
    """The listed entries for the words of a command line, and how many other models' there are.
    Those of several lists are in the order of one list: what a model does not accept comes first.

    Raises ReviewError if nothing is listed.
    """
    selection = filter_of(bucket, folder, model or ACTIVE_MODEL)
    listed = list(read_lists(bucket, selection.folder))
    if not listed:
        raise ReviewError(f"No answers below {selection.folder} are listed for review.")
    order = {reason: place for place, reason in enumerate(REASONS)}
    entries = [entry for entry in listed if selection.takes(entry)]
    entries.sort(key=lambda entry: order.get(entry.why, len(order)))
    return entries, len(listed) - len(entries)


def save(entries: Iterable[ReviewEntry], path: Path, decimal_comma: bool) -> None:
    """Write a list for a spreadsheet.

    `decimal_comma`: as spreadsheets write CSV where numbers have one, separated by semicolons.
    Raises ReviewError if there is a file already: it may hold a person's corrections.
    """
    separator = ";" if decimal_comma else ","
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            file.write(BOM)
            rows = csv.writer(file, delimiter=separator)
            rows.writerow(COLUMNS)
            for entry in entries:
                score = entry.score.replace(".", ",") if decimal_comma else entry.score
                cells = (score if name == "score" else getattr(entry, name) for name in COLUMNS)
                rows.writerow(map(escape_cell, cells))
    except FileExistsError as error:
        raise ReviewError(f"{path} exists, and may hold corrections: name another file.") from error
