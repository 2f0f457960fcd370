"""Tables that come back from spreadsheets, in every form that these write."""

import csv
import io
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.foreign import escape_cell
from domain.tables import reader
from domain.tables.reader import TableError
from domain.tables.writer import BOM, write_header, write_rows

COLUMNS = ("image", "etag", "label", "score", "why", "corrected")
NEEDED = ("image", "etag", "corrected")
OTHERS = ("label", "score")

ROWS = [
    ("inbox/trip/a.jpg", "e1", "cat", "0.4", "low score", "dog"),
    ("inbox/trip/b, c.jpg", "e2", "Käfig", "0.5", "low score", ""),
    ('inbox/trip/"d".jpg', "e3", "it's; so", "0.12", "sample", "Füße\tgroß"),
    ("inbox/trip/e\nf.jpg", "e4", "=1+1", "1e-05", "sample", "  wolf "),
]
PANTS = ("inbox/パンツ.jpg", "e5", "パンツ", "0.4", "low score", "猫")


def saved(
    rows: Sequence[tuple[str, ...]], separator: str = ",", line: str = "\r\n", quoting: int = 0
) -> str:
    """As a spreadsheet saves what it has read: it keeps our apostrophes."""
    text = io.StringIO(newline="")
    dialect = csv.writer(text, delimiter=separator, lineterminator=line, quoting=quoting)  # type: ignore[arg-type]
    dialect.writerow(COLUMNS)
    for row in rows:
        cells = [escape_cell(cell) for cell in row]
        if separator == ";":
            cells[3] = cells[3].replace(".", ",")
        dialect.writerow(cells)
    return text.getvalue()


def cells_of(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, str, str, str]]:
    return [(row[0], row[1], row[2], row[5]) for row in rows]


def read(body: bytes, encoding: str = "") -> list[tuple[str, str, str, str]]:
    table = reader.read(body, "list.csv", NEEDED, OTHERS, encoding)
    return [
        (row.cells["image"], row.cells["etag"], row.cells["label"], row.cells["corrected"])
        for row in table.rows
    ]


@pytest.mark.parametrize(
    "separator", [",", ";", "\t", "|"], ids=["comma", "semicolon", "tab", "bar"]
)
@pytest.mark.parametrize("line", ["\r\n", "\n", "\r"], ids=["windows", "unix", "old-mac"])
@pytest.mark.parametrize("quoting", [csv.QUOTE_MINIMAL, csv.QUOTE_ALL], ids=["some", "all"])
@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
def test_whatever_form_a_spreadsheet_writes_is_read(
    separator: str, line: str, quoting: int, encoding: str
) -> None:
    rows = ROWS[:3] if line == "\r" else ROWS  # csv quotes a line feed beside "\n" only
    rows = rows if encoding == "cp1252" else [*rows, PANTS]
    assert read(saved(rows, separator, line, quoting).encode(encoding)) == cells_of(rows)


@pytest.mark.parametrize("encoding", ["cp932", "shift_jis", "mac_roman", "cp1250", "utf-7"])
def test_another_encoding_can_be_named(encoding: str) -> None:
    rows = [PANTS] if encoding in ("cp932", "shift_jis") else ROWS[:2]
    assert read(saved(rows).encode(encoding), encoding) == cells_of(rows)


@pytest.mark.parametrize(
    "top",
    [
        "sep=;\r\n",
        '"sep=;"\r\n',
        "Holiday, August;;;\r\n\r\n",
        ";;;;;\r\n;;;;;\r\n",
        "Which are wrong?\r\nPlease fill the last column\r\n",
    ],
    ids=["sep", "quoted-sep", "title", "blank", "notes"],
)
def test_rows_above_the_header_are_left_out(top: str) -> None:
    assert read(f"{BOM}{top}{saved(ROWS, ';')}".encode()) == cells_of(ROWS)


def test_columns_may_be_moved_added_and_dropped() -> None:
    text = "Note;CORRECTED ;'etag';“image”;corrector\nx;dog;e1;inbox/a.jpg;Ann\n"
    assert read(text.encode()) == [("inbox/a.jpg", "e1", "", "dog")]


def test_curly_quotes_around_cells_are_quotes() -> None:
    text = "“image”,“etag”,“label”,“corrected”\n“inbox/b, c.jpg”,“e”,“cat”,„dog“\n"
    assert read(text.encode()) == [("inbox/b, c.jpg", "e", "cat", "dog")]


def test_curly_quotes_inside_cells_are_kept() -> None:
    rows = [("inbox/“a”.jpg", "e", "the “big” cat", "0.4", "sample", "‘tis")]
    for encoding in ("utf-8", "cp1252"):
        assert read(saved(rows).encode(encoding)) == cells_of(rows)


def test_short_rows_and_empty_cells_at_the_end_are_read() -> None:
    text = "image,etag,corrected\ninbox/a.jpg,e1\ninbox/b.jpg,e2,dog,,,\n,,\n\n"
    assert read(text.encode()) == [("inbox/a.jpg", "e1", "", ""), ("inbox/b.jpg", "e2", "", "dog")]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "has no column image, etag, corrected; it is empty"),
        (
            b"image;etag;label\na;b;c\n",
            "has no column corrected; it begins with 'image;etag;label'",
        ),
        (b"PK\x03\x04rest", "is a workbook of a spreadsheet: save it as `CSV UTF-8`"),
        (b"\xd0\xcf\x11\xe0rest", "is a workbook"),
        (b"\xff\xd8\xff\xe0\0\0\0\0" * 9, "is not text"),
        (b"image,etag,corrected\na,b,\x81\n", "is not text in UTF-8, UTF-16 or Windows-1252"),
        (b"image,etag,corrected,corrected\n", "has the column corrected twice"),
        (b"image,etag,label,score,corrected\na,b,c,0,4,dog\n", "line 2 of list.csv has 6 cells"),
        (b'image,etag,corrected\na,b,"dog\na,b,c\n', "is not CSV: unexpected end of data"),
        (b'image,etag,corrected\na,"b"x,dog\n', "line 2 of list.csv is not CSV"),
        (b"image,etag,corrected;\na,b,;dog\n", "has its columns in one cell"),
        (b'"image,etag,corrected"\n"a,b,dog"\n', "has its columns in one cell"),
        (b"image,etag,corrected\na,b," + b"x" * 200_000, "field larger than field limit"),
    ],
    ids=[
        *("empty", "no-column", "xlsx", "xls", "jpeg", "no-code-page", "twice", "decimal-comma"),
        *("open-quote", "stray-quote", "half-split", "one-cell", "long-cell"),
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(TableError) as refusal:
        read(body)
    assert why in str(refusal.value)


def test_an_encoding_that_is_wrong_is_a_sentence() -> None:
    body = saved([PANTS]).encode("cp932")
    with pytest.raises(TableError, match="There is no encoding 'excel'"):
        read(body, "excel")
    with pytest.raises(TableError, match="is not text in utf-8"):
        read(body, "utf-8")
    with pytest.raises(TableError, match="There is no encoding"):
        read(body, "rot13")


@given(st.lists(st.tuples(*[st.text().filter(lambda cell: "\0" not in cell)] * 3), max_size=5))
def test_what_we_write_is_read_back(rows: list[tuple[str, str, str]]) -> None:
    text = io.StringIO(newline="")
    write_header(text, NEEDED)
    write_rows(text, ([escape_cell(cell) for cell in row] for row in rows))
    body = text.getvalue().encode("utf-8", "surrogatepass")
    assert body.startswith(b"\xef\xbb\xbfimage,")
    table = reader.read(body, "list.csv", NEEDED)
    kept = [row for row in rows if any(cell.strip() for cell in row)]
    assert [tuple(row.cells.values()) for row in table.rows] == kept
