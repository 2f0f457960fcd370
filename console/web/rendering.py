"""Pages of the console: templates that escape every value, in one frame with one navigation."""

import json
from functools import cache
from http import HTTPStatus
from pathlib import Path
from typing import Any

from jinja2 import Environment
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from console.context import Console
from console.web.access import Access
from pages.render import make_environment

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
    environment = make_environment(TEMPLATES)
    environment.filters["moment"] = moment
    return environment


def moment(text: str | None) -> Markup:
    """A time in UTC, which a page shows as the local one; a dash where there is none."""
    return Markup('<time datetime="{0}">{0}</time>').format(text) if text else Markup("–")


def json_response(data: Any) -> Response:
    """In ASCII: keys and labels may hold what is no UTF-8."""
    return Response(json.dumps(data), media_type="application/json")
