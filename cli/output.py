"""What commands print: text of strangers (labels, keys, log lines) is made visible, not obeyed."""

import json
from collections.abc import Mapping
from typing import Any

import click

from domain.foreign import visible, visible_lines


def say(text: str) -> None:
    click.echo(visible_lines(text))


def say_json(document: Mapping[str, Any]) -> None:
    """One JSON document on a line of its own."""
    click.echo(visible(json.dumps(document, ensure_ascii=False)))
