"""Pages that open from a disk, without a network: one file, every text of a stranger escaped.

Templates escape whatever they are handed. The content policy in the page's head is the second lock:
even a name that slipped through as markup could load nothing and run nothing.

Jinja is imported when the first page is written: no cold start waits for it.
"""

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
"""Of a stranger's text; a longer one is shown by its beginning and its end."""


def render(template: str, **values: Any) -> str:
    """A whole page. A name that the template uses and `values` lacks is an error."""
    return _environment().get_template(template).render(values)


def fragment(template: str, macro: str, *values: Any) -> "Markup":
    """What a template's macro makes of these values, escaped; to be handed to `render`."""
    made: Markup = getattr(_environment().get_template(template).module, macro)(*values)
    return made


def fitting(fragments: "Iterable[Markup]", room: int) -> "list[Markup]":
    """As many of the first as take no more than `room` bytes. No more are asked for."""
    fit = []
    for piece in fragments:
        room -= len(piece.encode())
        if room < 0:
            break
        fit.append(piece)
    return fit


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"foreign": foreign, "number": number, "path": path, "jpeg": jpeg}
    return environment


def foreign(text: str) -> "Markup":
    """A stranger's text: escaped, control characters made visible, its direction its own, short."""
    from markupsafe import Markup

    if len(text) > MOST_LETTERS:
        text = f"{text[: MOST_LETTERS // 2]}…{text[-MOST_LETTERS // 2 :]}"
    return Markup("<bdi>{}</bdi>").format(visible(text))


def number(value: int) -> str:
    return f"{value:,}"


def path(key: str) -> str:
    """For a relative link to a key, which works where the bucket has been copied to a disk."""
    return quote(key, safe="/.")


def jpeg(picture: bytes) -> str:
    return f"data:image/jpeg;base64,{b64encode(picture).decode()}"
