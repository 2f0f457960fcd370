"""Pages of the console: templates that escape every value, in one frame with one navigation."""

from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from console.context import Console
from console.web.access import Access
from pages.render import foreign, number, path, sentences

TEMPLATES = Path(__file__).parents[1] / "templates"
NAVIGATION = (
    ("/drop", "Drop"),
    ("/watch", "Watch"),
    ("/look", "Look"),
    ("/corrections", "Correct"),
    ("/train", "Train"),
    ("/models", "Models"),
    ("/operate", "Operate"),
    ("/reports/", "Reports"),
)


def page(
    request: Request, template: str, status: HTTPStatus = HTTPStatus.OK, **values: Any
) -> HTMLResponse:
    """Render a template of the console. `title` must be among the values, or set by the template.

    Raises jinja2's UndefinedError if the template uses a name that is not in `values`.
    """
    console: Console = request.app.state.console
    access: Access = request.app.state.access
    frame = {
        "csrf": access.csrf,
        "stage": console.stage.name,
        "read_only": console.read_only,
        "navigation": NAVIGATION,
        "here": request.url.path,
    }
    text = _environment().get_template(template).render(frame | values)
    return HTMLResponse(text, status)


def trouble(request: Request, sentence: str, status: HTTPStatus) -> Response:
    """What went wrong, as a page; as JSON for requests to `/api/`."""
    if request.url.path.startswith("/api/"):
        return JSONResponse({"error": sentence}, status)
    return page(request, "trouble.html.jinja", status, title=status.phrase, sentence=sentence)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"foreign": foreign, "number": number, "sentences": sentences}
    environment.filters["path"] = path
    return environment
