"""Escape untrusted text (labels, keys, job names, log lines) for terminals and CSV files.

A terminal interprets escape sequences, and a spreadsheet evaluates cells that look like formulas.
HTML has its own escaping in `pages.render`.
"""

import re
import unicodedata

FORMULA = re.compile(r"[=+\-@\u2212\t\r\n]")
"""The first characters of a formula in a spreadsheet: OWASP's list ("CSV Injection") and U+2212.

Matched after NFKC normalisation, which maps full-width and small forms to ASCII."""


def visible(text: str) -> str:
    r"""Replace every character that is not printable by its JSON escape, such as `\u001b`.

    Covers control characters (C0, C1, line breaks), bidirectional overrides, invisible characters
    and lone surrogates. The result is a single line; a JSON document keeps its meaning.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def visible_lines(text: str) -> str:
    """Apply `visible` to each line; line feeds are kept."""
    return "\n".join(map(visible, text.split("\n")))


def escape_cell(text: str) -> str:
    """Prefix a CSV cell with `'` if a spreadsheet could evaluate it as a formula.

    A cell that already begins with such a `'` gets another one, so that `unescape_cell` is the
    inverse.
    """
    return f"'{text}" if _might_be_computed(text.lstrip("'")) else text


def unescape_cell(cell: str) -> str:
    """The inverse of `escape_cell`."""
    return cell[1:] if cell[:1] == "'" and _might_be_computed(cell.lstrip("'")) else cell


def _might_be_computed(text: str) -> bool:
    """Whether the first visible character begins a formula.

    Leading blanks and invisible characters are skipped, as some spreadsheets skip them.
    """
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
