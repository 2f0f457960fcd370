"""Read a table that a person has saved from a spreadsheet, in whatever form it writes CSV.

Spreadsheets separate cells by commas, tabs or, where numbers have a decimal comma, semicolons; they
write UTF-8, UTF-16 or the code page of Windows. People put a title above the header, and move, add
and drop columns. All of this is read. What could be read in two ways is refused with its line: a
correction in the wrong column would become a wrong label.
"""

import codecs
import csv
import io
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from domain.errors import SortboxError
from domain.foreign import unescape_cell, visible

SEPARATORS = (",", ";", "\t", "|")

HEADER_ROWS = 20
"""The header is one of the first rows; a title, notes or blank rows may be above it."""

TABLE_BYTES = 256 * 2**20
"""A spreadsheet holds a million rows, some 100 MB here; they take a gigabyte of memory."""

WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
"""The first bytes of .xlsx, .ods and .numbers, and of .xls."""

BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, with whose mark it begins
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)

WINDOWS = "cp1252"
"""What Excel calls "CSV" in western Europe and the Americas. Other code pages look the same, so a
person can name another encoding."""

ADVICE = "save it as `CSV UTF-8`"

CURLY = str.maketrans("“”„‟", '""""')


class TableError(SortboxError):
    """The file is not the table that is expected; the sentence says what to do."""


@dataclass(frozen=True, slots=True)
class TableRow:
    line: int
    """The last line of the row in the file, from 1."""
    cells: Mapping[str, str]
    """By column; a cell that is not there is empty."""


@dataclass(frozen=True, slots=True)
class Table:
    rows: tuple[TableRow, ...]
    encoding: str


@dataclass(frozen=True, slots=True)
class TableHeader:
    line: int
    separator: str
    cells: tuple[str, ...]


def read(
    body: bytes, name: str, needed: Sequence[str], others: Sequence[str] = (), encoding: str = ""
) -> Table:
    """Read the columns `needed`, and `others` where they are there; `name` is for messages.

    Cells are as before `domain.foreign.escape_cell`. Raises TableError.
    """
    text, encoding = _decode(body, name, encoding)
    lines = io.StringIO(text, newline="").readlines()
    header = _find_header(lines, needed)
    if header is None and text != text.translate(CURLY):  # by a word processor, around cells
        lines = [line.translate(CURLY) for line in lines]
        header = _find_header(lines, needed)
    if header is None:
        raise TableError(_explain(lines, name, needed))
    places = {}
    for column in (*needed, *others):
        if header.cells.count(column) > 1:
            raise TableError(f"{name} has the column {column} twice: remove one of them.")
        if column in header.cells:
            places[column] = header.cells.index(column)
    empty = dict.fromkeys((*needed, *others), "")
    rows = tuple(
        TableRow(line, empty | {column: unescape_cell(cells[at]) for column, at in places.items()})
        for line, cells in _rows(lines, header, name)
    )
    return Table(rows, encoding)


def _decode(body: bytes, name: str, encoding: str) -> tuple[str, str]:
    """The text and its encoding, which is recognised if `encoding` is empty."""
    if len(body) > TABLE_BYTES:
        raise TableError(f"{name} is larger than {TABLE_BYTES // 2**20} MB: divide it.")
    if body.startswith(WORKBOOKS):
        raise TableError(f"{name} is a workbook of a spreadsheet: {ADVICE}.")
    try:
        codec = codecs.lookup(encoding or _recognise(body)).name
        text = body.decode(codec)
    except LookupError as error:
        raise TableError(
            f"There is no encoding {encoding!r}; there are utf-8, utf-16, cp1252, cp932 and others."
        ) from error
    except UnicodeError as error:
        what = encoding or "UTF-8, UTF-16 or Windows-1252"
        raise TableError(f"{name} is not text in {what}: {ADVICE}.") from error
    if "\0" in text:
        raise TableError(f"{name} is not text: {ADVICE}.")
    return text.removeprefix("\ufeff"), codec


def _recognise(body: bytes) -> str:
    for mark, encoding in BYTE_ORDER_MARKS:
        if body.startswith(mark):
            return encoding
    start = body[:1000]
    if start.count(0) * 3 > len(start):  # the header is ASCII: each other byte is 0
        return "utf-16-le" if start[1::2].count(0) > start[::2].count(0) else "utf-16-be"
    try:
        body.decode()
    except UnicodeDecodeError:
        return WINDOWS
    return "utf-8"


def _find_header(lines: Sequence[str], needed: Sequence[str]) -> TableHeader | None:
    for separator in SEPARATORS:
        rows = csv.reader(lines, delimiter=separator)
        try:
            for _, row in zip(range(HEADER_ROWS), rows, strict=False):
                cells = tuple(_folded(cell) for cell in row)
                if set(needed) <= set(cells):
                    return TableHeader(rows.line_num, separator, cells)
        except csv.Error:
            continue
    return None


def _folded(cell: str) -> str:
    """The name of a column as people may have written it: with blanks, in capitals, in quotes."""
    return unicodedata.normalize("NFKC", cell).strip(" \t\ufeff\"'").casefold()


def _rows(lines: Sequence[str], header: TableHeader, name: str) -> Iterator[tuple[int, list[str]]]:
    """The rows below the header with their lines, as long as the header; blank ones are left out.

    Some spreadsheets leave out empty cells at the end of a row, and others add some.
    """
    rows = csv.reader(lines[header.line :], delimiter=header.separator, strict=True)
    width = len(header.cells)
    try:
        for cells in rows:
            line = header.line + rows.line_num
            if any(cell.strip() for cell in cells[width:]):
                raise TableError(
                    f"line {line} of {name} has {len(cells)} cells, and the header {width}: put a "
                    f"cell that contains {header.separator!r} into quotes."
                )
            if any(cell.strip() for cell in cells):
                yield line, cells[:width] + [""] * (width - len(cells))
    except csv.Error as error:
        line = header.line + rows.line_num
        raise TableError(f"line {line} of {name} is not CSV: {error}.") from error


def _explain(lines: Sequence[str], name: str, needed: Sequence[str]) -> str:
    """Why there is no header."""
    columns: set[str] = set()
    for row in lines[:HEADER_ROWS]:
        if len(needed) > 1 and all(column in row.casefold() for column in needed):
            return (
                f"{name} has its columns in one cell, or between other separators than comma, "
                f"semicolon and tab: open the list by the spreadsheet's import, and {ADVICE}."
            )
        cells = {_folded(cell) for cell in row.split(max(SEPARATORS, key=row.count))}
        columns = max(columns, cells & set(needed), key=len)
    missing = [column for column in needed if column not in columns]
    first = next((row.strip() for row in lines if row.strip()), "")
    begins = f"it begins with {visible(first)[:80]!r}" if first else "it is empty"
    return f"{name} has no column {', '.join(missing)}; {begins}."
