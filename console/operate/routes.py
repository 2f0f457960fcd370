"""The page of operation."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from console.actions.routes import runner_of
from console.actions.runner import Runner
from console.context import Console
from console.operate.facts import (
    IMAGES_PER_DAY,
    MAX_IMAGES_PER_DAY,
    Operation,
    monthly_cost,
)
from console.web.events import Hub
from console.web.rendering import page
from domain.version import VERSION

VERBS = ("doctor", "redrive", "stop")


@dataclass(frozen=True, slots=True)
class OperatePages:
    console: Console
    runner: Runner
    operation: Operation

    def page(self, request: Request) -> Response:
        images = _images_per_day(request)
        costs, prices = monthly_cost(self.console, images)
        return page(
            request,
            "operate/operate.html.jinja",
            title="Operate",
            action=self.runner.latest(*VERBS),
            verbs=VERBS,
            parts=self.operation.parts(),
            bucket=self.console.bucket.name,
            version=VERSION,
            images=images,
            costs=costs,
            prices=prices,
            is_billed=self.console.is_billed,
        )


def _images_per_day(request: Request) -> int:
    text = request.query_params.get("images_per_day", "")
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(MAX_IMAGES_PER_DAY))
    return min(max(int(text), 1), MAX_IMAGES_PER_DAY) if is_number else IMAGES_PER_DAY


def routes(console: Console, hub: Hub) -> list[BaseRoute]:
    pages = OperatePages(console, runner_of(console), Operation.of(console))
    return [Route("/operate", pages.page)]
