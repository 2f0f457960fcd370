"""Text that strangers choose (labels, keys, job names, log lines), where it could act by itself.

A terminal obeys escape sequences, and a spreadsheet computes cells that look like formulas. Pages
have their own escaping in `pages.render`.
"""

import re
import unicodedata

FORMULA = re.compile(r"[=+\-@\u2212\t\r\n]")
"""What a spreadsheet takes for the beginning of a formula, after NFKC, which turns full-width and
small forms into ASCII. OWASP's list ("CSV Injection"), and the minus sign of mathematics."""


def visible(text: str) -> str:
    r"""One line that no terminal obeys: whatever is not printable becomes `\u001b`, as JSON does.

    That is control characters (C0, C1, line breaks), what changes the direction of text, invisible
    characters, and halves of surrogate pairs. A JSON document stays the same document.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def visible_lines(text: str) -> str:
    """The same for a text of several lines."""
    return "\n".join(map(visible, text.split("\n")))


def escape_cell(text: str) -> str:
    """A cell of a CSV that no spreadsheet computes: with a `'` before it, where it might be.

    Cells that have such a `'` already get one more, so that `unescape_cell` is the inverse.
    """
    return f"'{text}" if _might_be_computed(text.lstrip("'")) else text


def unescape_cell(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and _might_be_computed(cell.lstrip("'")) else cell


def _might_be_computed(text: str) -> bool:
    """Also after blanks and invisible characters, which some spreadsheets pass over."""
    if text[:1].isascii() and text[:1].isalnum():  # nearly all of ten million rows
        return False
    for one in text:
        if FORMULA.match(unicodedata.normalize("NFKC", one)):
            return True
        if one.isprintable() and not one.isspace():
            return False
    return False


def _escaped(one: str) -> str:
    units = one.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{int.from_bytes(units[at : at + 2]):04x}" for at in range(0, len(units), 2))
