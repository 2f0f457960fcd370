"""Strangers' text: no terminal obeys it, no spreadsheet computes it, and it can be read back."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batch.outcome import COLUMNS, Predicted, from_csv, to_csv
from batch.reports.review import Review
from domain.foreign import escape_cell, unescape_cell, visible, visible_lines
from domain.reply import Label
from infra.review import lists

FORMULAS = (
    "=1+1",
    '=HYPERLINK("http://evil.example","cat")',
    "+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\tcat",
    "  =1",
    "\u00a0=1",
    "\ufeff=1",
    "\u200b@x",
    "\uff1d1",
    "\uff0b1",
    "\uff0d1",
    "\uff201",
    "\ufe66x",
    "\u22121",
)
HARMLESS = ("cat", "", "'tis", "a=1", "tiger cat", "1e-05", "é", "猫", "inbox/=1.jpg")
CELLS = st.text(st.sampled_from("'=+-@\t\r\n \u00a0\ufeff\uff1dab"), max_size=6) | st.text()


@pytest.mark.parametrize("formula", FORMULAS)
def test_what_a_spreadsheet_might_compute_begins_with_an_apostrophe(formula: str) -> None:
    assert escape_cell(formula) == f"'{formula}"
    assert escape_cell(f"'{formula}") == f"''{formula}", "or it could not be read back"


@pytest.mark.parametrize("text", HARMLESS)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert escape_cell(text) == text


@given(CELLS)
def test_a_cell_is_read_back(text: str) -> None:
    assert unescape_cell(escape_cell(text)) == text


@given(CELLS, CELLS)
def test_two_texts_are_never_one_cell(one: str, other: str) -> None:
    assert (escape_cell(one) == escape_cell(other)) == (one == other)


@given(CELLS)
def test_no_cell_of_a_folders_table_is_a_formula_and_the_table_is_read_back(label: str) -> None:
    answer = Predicted("inbox/a", "etag", (Label(label, 0.5),), "model", "now")
    text = io.StringIO(newline="")
    csv.writer(text).writerows([COLUMNS, to_csv(answer)])
    text.seek(0)
    assert list(from_csv(csv.reader(text))) == [answer]
    for cell in to_csv(answer):
        assert cell == escape_cell(unescape_cell(cell)), f"{cell!r} could be computed"


@given(CELLS.filter(lambda label: "\0" not in label))
def test_a_review_list_is_read_back(label: str) -> None:
    listed = Review(below=0.9)
    listed.add(Predicted("inbox/a", "etag", (Label(label, 0.5),), "model", "now"))
    [row], _ = lists.parse(listed.table().encode(), "list.csv")
    assert (row.image, row.etag, row.label, row.corrected) == ("inbox/a", "etag", label, "")


def test_a_label_that_is_copied_into_the_corrections_is_that_label() -> None:
    text = f"image,etag,label,score,why,corrected\ninbox/a,e,cat,0.5,x,{escape_cell('=dog')}\n"
    [row], _ = lists.parse(text.encode(), "list.csv")
    assert row.corrected == "=dog"


@pytest.mark.parametrize(
    "sequence",
    [
        "\x1b[2J",
        "\x1b]8;;http://evil.example\x07cat\x1b]8;;\x07",
        "\x1b]0;title\x07",
        "\x9b31m",
        "\x90payload\x9c",
        "\r\nactive: imagenet:1",
        "\x08\x08",
        "\x7f",
        "\u202egpj.tac",
        "\u2066cat\u2069",
        "\u200f",
        "\u2028",
        "\ufeff",
        "\udc1b",
        "\U000e0041",
    ],
)
def test_no_terminal_obeys_what_is_shown(sequence: str) -> None:
    shown = visible(f"cat{sequence}")
    assert shown.isprintable()
    assert shown.startswith("cat")
    assert json.loads(f'"{shown}"') == json.loads(json.dumps(f"cat{sequence}"))


@given(st.text())
def test_a_shown_json_document_is_the_same_document(text: str) -> None:
    document = json.dumps({"sentence": text}, ensure_ascii=False)
    assert json.loads(visible(document)) == {"sentence": text}
    assert visible(document).isprintable()


def test_lines_stay_lines() -> None:
    assert visible_lines("one\ntwo\x1b[m") == "one\ntwo\\u001b[m"
