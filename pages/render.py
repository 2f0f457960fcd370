"""Render self-contained HTML pages, which open from a disk without a network.

Templates escape every value. As a second defence, the content security policy in the page's head
lets unescaped markup neither load nor run anything: it names our one script, which sorts and
filters tables, by its hash.

Jinja is imported when the first page is rendered, to keep it out of Lambda's cold start.
"""

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from domain.foreign import visible

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"
MOST_LETTERS = 160
"""The longest untrusted text that is shown in full, in characters; longer ones are shortened in
the middle."""


def render(template: str, **values: Any) -> str:
    """Render a page. Raises jinja2's UndefinedError if the template uses a name not in `values`."""
    return _environment().get_template(template).render(values)


def fragment(template: str, macro: str, *values: Any) -> "Markup":
    """Render a macro of a template with these values, escaped; the result can be passed to
    `render`."""
    made: Markup = getattr(_environment().get_template(template).module, macro)(*values)
    return made


def fitting(fragments: "Iterable[Markup]", room: int) -> "list[Markup]":
    """The longest prefix of `fragments` that fits into `room` bytes; consumes at most one more."""
    fit = []
    for piece in fragments:
        room -= len(piece.encode())
        if room < 0:
            break
        fit.append(piece)
    return fit


@cache
def policy() -> str:
    """The content security policy of every page: nothing is loaded, and our own script runs."""
    digest = b64encode(hashlib.sha256(_script().encode()).digest()).decode()
    scripts = f"script-src 'sha256-{digest}'"
    return f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; {scripts}"


def _script() -> str:
    return (TEMPLATES / "tables.js.jinja").read_text()


def make_environment(templates: Path) -> "Environment":
    """Templates of a folder, with the filters of all pages; every value is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(templates),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"foreign": foreign, "number": number, "path": path, "jpeg": jpeg}
    environment.filters |= {"sentences": sentences, "visible": visible}
    return environment


@cache
def _environment() -> "Environment":
    from markupsafe import Markup

    environment = make_environment(TEMPLATES)
    environment.globals |= {"script": Markup(_script()), "policy": Markup(policy())}
    return environment


def foreign(text: str) -> "Markup":
    """Untrusted text for a page: escaped and shortened, with control characters made visible and
    its text direction isolated."""
    from markupsafe import Markup

    if len(text) > MOST_LETTERS:
        text = f"{text[: MOST_LETTERS // 2]}…{text[-MOST_LETTERS // 2 :]}"
    return Markup("<bdi>{}</bdi>").format(visible(text))


def sentences(text: str) -> "Markup":
    """As `foreign`, at any length: what a failure says is read to its end. What stands in backticks
    is code.
    """
    from markupsafe import Markup

    parts = re.split("`([^`]+)`", visible(text))
    forms = (Markup("{}"), Markup("<code>{}</code>"))
    words = Markup("").join(forms[at % 2].format(part) for at, part in enumerate(parts))
    return Markup("<bdi>{}</bdi>").format(words)


def number(value: int) -> str:
    """With thousands separators."""
    return f"{value:,}"


def path(key: str) -> str:
    """A key as a relative URL, which also works in a copy of the bucket on a disk."""
    return quote(key, safe="/.")


def jpeg(picture: bytes) -> str:
    """A JPEG as a data URL."""
    return f"data:image/jpeg;base64,{b64encode(picture).decode()}"
