"""What commands print: text of strangers (labels, keys, log lines) is made visible, not obeyed."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click

from domain.foreign import visible, visible_lines


def say(text: str) -> None:
    click.echo(visible_lines(text))


def say_table(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """A table whose columns are the fields of the rows; to a pipe at any width, without frames."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    if not console.is_terminal:
        console.width = 10_000
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in rows[0] if rows else ("none",):
        numeric = any(isinstance(row[name], int) for row in rows)
        table.add_column(name.replace("_", " "), justify="right" if numeric else "left")
    for row in rows:
        cells = ["–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
                 for value in row.values()]  # fmt: skip
        table.add_row(*(Text(visible(cell)) for cell in cells))
    with console.capture() as lines:  # rich itself would end the program at a closed pipe
        console.print(table)
    click.echo(lines.get())


def say_json(document: Mapping[str, Any]) -> None:
    """One JSON document on a line of its own."""
    click.echo(visible(json.dumps(document, ensure_ascii=False)))
