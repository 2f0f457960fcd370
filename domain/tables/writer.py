"""CSV files that spreadsheets open as they are: `reader` is the inverse."""

import csv
from collections.abc import Iterable, Sequence
from typing import Protocol

BOM = "\ufeff"
"""Excel reads a CSV file as UTF-8 only if it begins with this; other readers skip it."""

CONTENT_TYPE = "text/csv; charset=utf-8"


class TextFile(Protocol):
    def write(self, text: str, /) -> int: ...


def write_header(file: TextFile, columns: Sequence[str]) -> None:
    """Begin the file."""
    file.write(BOM)
    csv.writer(file).writerow(columns)


def write_rows(file: TextFile, rows: Iterable[Sequence[object]]) -> None:
    """Append rows. Text of strangers in them has passed `domain.foreign.escape_cell`."""
    csv.writer(file).writerows(rows)
