"""The page that shows what happens in a stage, and what an image or a folder waits for."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from console.context import Console
from console.watch.folders import STUCK_SECONDS, Folders
from console.watch.pace import Pace
from console.watch.singles import Singles, is_answered, oldest_waiting
from console.web.events import Hub
from console.web.rendering import page
from infra.diagnostics.catalog import FirstLevel, first_level
from infra.diagnostics.findings import StatusFinding, StatusSources
from infra.diagnostics.inbox_keys import find_key
from infra.diagnostics.status import everything, explain
from infra.sentences import explain as sentence_of

TURN_SECONDS = 2.0
"""The pause between two turns; at least as long as the turn took."""

STALE_SECONDS = 10.0
"""A picture of the stage older than this is not shown to a page that opens."""

VIEW_SECONDS = 60.0
"""So long after a page has last asked for it, the picture is renewed; pages ask every 30 seconds
while they can be seen."""

TOPIC = "work"

Picture = Mapping[str, Any]


def routes(console: Console, hub: Hub) -> list[BaseRoute]:
    watch = Watch(console.sources, hub.publish)
    hub.every(TURN_SECONDS, watch.turn)
    return [Route("/watch", watch.page), Route("/api/watch", watch.answer)]


@dataclass
class Watch:
    """A picture of the stage, which is renewed while a page shows it."""

    sources: StatusSources
    publish: Callable[[str, Mapping[str, Any]], None]
    now: Callable[[], float] = time.monotonic
    singles_pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        self._folders = Folders(self.sources, lambda: self.now())
        self._singles = Singles(self.sources.bucket)
        self._lock = threading.Lock()
        self._picture: Picture = {}
        self._at = -STALE_SECONDS
        self._viewed_at = -VIEW_SECONDS

    def page(self, request: Request) -> Response:
        key = request.query_params.get("key", "")
        return page(
            request,
            "watch/watch.html.jinja",
            title=f"Watch {key}" if key else "Watch",
            key=key,
        )

    def answer(self, request: Request) -> Response:
        """The stage; with `key`, an image or a folder as `./sortbox status KEY` finds and explains
        it. Raises NoSuchKeyError.
        """
        text = request.query_params.get("key", "")
        key = find_key(self.sources.bucket, text) if text else ""
        if key:
            return JSONResponse({"key": key, "findings": _said(explain(self.sources, key))})
        self._viewed_at = self.now()
        return JSONResponse(self.look(STALE_SECONDS))

    def turn(self) -> float:
        """Renew the picture, tell the pages if it is another one, and say how long to wait.

        Other pages listen as well: nothing is done where nobody watches.
        """
        started, before = self.now(), self._picture
        if started - self._viewed_at >= VIEW_SECONDS:
            return TURN_SECONDS
        picture = self.look(0)
        if picture != before:
            self.publish(TOPIC, picture)
        return max(TURN_SECONDS, self.now() - started)

    def look(self, stale_seconds: float) -> Picture:
        """The picture, if it is not older; else a new one."""
        with self._lock:
            if not self._picture or self.now() - self._at >= stale_seconds:
                self._picture = self._draw()
                self._at = self.now()
            return self._picture

    def _draw(self) -> Picture:
        at = self.now()
        level = first_level(self.sources.bucket)
        answers = sum(is_answered(level, image) for image in level.singles)
        self.singles_pace.add(at, answers, len(level.singles))
        return {
            "findings": self._findings(),
            "folders": {
                "rows": self._folders.turn(level.folders),
                "count": len(level.folders),
            },
            "singles": {
                "rows": self._singles.rows(level),
                "count": len(level.singles),
                "answers": answers,
                "rate": round(self.singles_pace.rate, 4),
                "seconds_left": self.singles_pace.seconds_left(len(level.singles)),
                "stuck": self._stuck_single(level, at),
            },
            "is_whole": level.is_whole,
        }

    def _stuck_single(self, level: FirstLevel, at: float) -> Mapping[str, Any] | None:
        """Where no single image has been answered for a while: the one that has waited longest, and
        what it waits for, as `status` says it.
        """
        key = oldest_waiting(level)
        if key is None or not self.singles_pace.is_stuck(at, STUCK_SECONDS):
            return None
        try:
            return {"key": key, "waits": [one.sentence for one in explain(self.sources, key)]}
        except (BotoCoreError, ClientError) as error:
            return {"key": key, "waits": [sentence_of(error) or str(error)]}

    def _findings(self) -> list[dict[str, str]]:
        """What `./sortbox status` says of the stage. Without permission for a part of it, the
        folders are shown all the same.
        """
        try:
            return _said(everything(self.sources))
        except (BotoCoreError, ClientError) as error:
            return [{"about": "trouble", "sentence": sentence_of(error) or str(error)}]


def _said(findings: Iterable[StatusFinding]) -> list[dict[str, str]]:
    return [{"about": one.about, "sentence": one.sentence} for one in findings]
