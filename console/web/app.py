"""The console's application: the routes of every part, behind the guard."""

from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from botocore.exceptions import BotoCoreError, ClientError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from console.actions import routes as actions
from console.answers import routes as answers
from console.context import Console
from console.corrections import routes as corrections
from console.models import routes as models
from console.operate import routes as operate
from console.train import routes as train
from console.uploads import routes as uploads
from console.watch import routes as watch
from console.web.access import Access, Guard
from console.web.events import Hub
from console.web.rendering import trouble
from console.web.reports import Reports
from domain.errors import SortboxError
from infra.sentences import explain
from pages.render import TEMPLATES

STATIC = Path(__file__).parents[1] / "static"
COLOURS = TEMPLATES / "colours.css.jinja"
HOME = "/drop"

Part = Callable[[Console, Hub], list[BaseRoute]]
PARTS: tuple[Part, ...] = (
    uploads.routes,
    watch.routes,
    answers.routes,
    corrections.routes,
    train.routes,
    models.routes,
    operate.routes,
    actions.routes,
)
"""The pages of the console; each part has its routes in a module of its own."""


def create_app(console: Console, access: Access) -> Starlette:
    hub = Hub()

    routes: list[BaseRoute] = [
        Route("/", _home),
        Route("/events", hub.events),
        Route("/static/colours.css", _colours),
        Mount("/static", StaticFiles(directory=STATIC)),
        *Reports.of(console).routes(),
    ]
    for part in PARTS:
        routes += part(console, hub)
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Guard, access=access)],
        exception_handlers={
            HTTPException: _http_trouble,
            SortboxError: _trouble,
            BotoCoreError: _trouble,
            ClientError: _trouble,
        },
    )
    app.state.console, app.state.access, app.state.hub = console, access, hub
    return app


def _home(request: Request) -> Response:
    return RedirectResponse(HOME, HTTPStatus.SEE_OTHER)


def _colours(request: Request) -> Response:
    return FileResponse(COLOURS, media_type="text/css")


def _http_trouble(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    sentence = "There is no such page." if status == HTTPStatus.NOT_FOUND else f"{error.detail}."
    return trouble(request, sentence, status)


def _trouble(request: Request, error: Exception) -> Response:
    """What a person or AWS caused, as a sentence; a defect of ours stays a 500."""
    status = HTTPStatus.BAD_REQUEST if isinstance(error, SortboxError) else HTTPStatus.BAD_GATEWAY
    return trouble(request, explain(error) or str(error), status)
