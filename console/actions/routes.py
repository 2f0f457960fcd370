"""Actions over HTTP: what one would do and cost, its start, its lines as they come, its end."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from console.actions.costs import cost_of
from console.actions.record import Action, command_line
from console.actions.runner import BusyError, NoActionError, Runner
from console.actions.verbs import VERBS, FieldError, Fields, order_for
from console.context import Console
from console.web.bodies import read_json
from console.web.events import Hub
from console.web.rendering import page, trouble

ACTIONS_FOLDER = "actions"
TOPIC = "action"
LIVE_SECONDS, IDLE_SECONDS = 0.5, 2.0
SHOWN_ACTIONS = 50
BODY_BYTES = 2**16
FIELDS = 100
OFFSET = re.compile(r"[0-9]{1,12}")


def runner_of(console: Console) -> Runner:
    return Runner(console.folder / ACTIONS_FOLDER)


@dataclass
class Follower:
    """Publishes what is added to the logs of running actions, while a page listens."""

    runner: Runner
    hub: Hub
    _offsets: dict[str, int] = field(default_factory=dict)
    """By action, for those that ran at the last look; so a handful."""

    def expect(self, id_: str) -> None:
        """An action has been started: say its end also if it ends before the next look."""
        self._offsets.setdefault(id_, 0)

    def follow(self) -> float:
        running = {action.id: action for action in self.runner.running()}
        for id_ in {*running, *tuple(self._offsets)}:
            try:
                action = running.get(id_) or self.runner.action(id_)
                output = self.runner.output(id_, self._offsets.get(id_, 0))
            except NoActionError:
                self._offsets.pop(id_, None)
                continue
            if output.text or id_ not in self._offsets or not action.is_running:
                event = {"text": output.text, "from": output.start, "to": output.end}
                self.hub.publish(TOPIC, describe(action) | event)
            self._offsets[id_] = output.end
            if not action.is_running:
                del self._offsets[id_]
        return LIVE_SECONDS if self._offsets else IDLE_SECONDS


def describe(action: Action) -> dict[str, Any]:
    """An action, for a page."""
    return {
        "id": action.id,
        "verb": action.verb,
        "title": action.title,
        "commands": action.command_lines(),
        "step": action.step,
        "state": action.state,
        "code": action.code,
        "running": action.is_running,
        "started": action.started_at,
        "ended": action.ended_at,
    }


@dataclass(frozen=True, slots=True)
class ActionPages:
    console: Console
    runner: Runner
    follower: Follower

    def page(self, request: Request) -> Response:
        id_ = request.query_params.get("id", "")
        chosen = self.runner.action(id_) if id_ else None
        return page(
            request,
            "actions/actions.html.jinja",
            title=chosen.title if chosen else "Actions",
            chosen=chosen,
            verbs=() if chosen else VERBS,
            actions=self.runner.actions(SHOWN_ACTIONS),
        )

    def list(self, request: Request) -> Response:
        actions = [describe(action) for action in self.runner.actions(SHOWN_ACTIONS)]
        return JSONResponse({"actions": actions})

    def show(self, request: Request) -> Response:
        """An action, with its log from the byte `from` on."""
        start = request.query_params.get("from", "")
        action = self.runner.action(request.path_params["id"])
        output = self.runner.output(action.id, int(start) if OFFSET.fullmatch(start) else 0)
        event = {"text": output.text, "from": output.start, "to": output.end}
        return JSONResponse(describe(action) | event)

    def preview(self, request: Request) -> Response:
        """What an action would run, and what it costs at most."""
        values = dict(request.query_params)
        verb = values.pop("verb", "")
        order = order_for(self.console, verb, values)
        return JSONResponse(
            {
                "title": order.title,
                "commands": [command_line(words) for words in order.commands],
                "cost": cost_of(self.console, verb, values),
            }
        )

    async def start(self, request: Request) -> Response:
        verb, values = parse_form(await read_json(request, BODY_BYTES))
        return await run_in_threadpool(self._start, request, verb, values)

    def _start(self, request: Request, verb: str, values: Fields) -> Response:
        try:
            action = self.runner.start(order_for(self.console, verb, values))
        except BusyError as error:
            return trouble(request, str(error), HTTPStatus.CONFLICT)
        self.follower.expect(action.id)
        return JSONResponse(describe(action), HTTPStatus.CREATED)

    def stop(self, request: Request) -> Response:
        return JSONResponse({"sentence": self.runner.stop(request.path_params["id"])})


def parse_form(document: Mapping[str, Any]) -> tuple[str, Fields]:
    """`{"verb": …, "fields": {name: text}}`. Raises FieldError for what is no form."""
    verb, values = document.get("verb"), document.get("fields", {})
    if isinstance(verb, str) and isinstance(values, dict) and len(values) <= FIELDS:
        texts = {name: value for name, value in values.items() if isinstance(value, str)}
        if len(texts) == len(values):
            return verb, texts
    raise FieldError("The request is no form of this console: reload the page.")


def routes(console: Console, hub: Hub) -> list[BaseRoute]:
    runner = runner_of(console)
    follower = Follower(runner, hub)
    pages = ActionPages(console, runner, follower)
    hub.every(LIVE_SECONDS, follower.follow)
    return [
        Route("/actions", pages.page),
        Route("/api/actions", pages.list),
        Route("/api/actions", pages.start, methods=["POST"]),
        Route("/api/actions/{id}", pages.show),
        Route("/api/actions/{id}/stop", pages.stop, methods=["POST"]),
        Route("/api/order", pages.preview),
    ]
