"""Server-sent events: what pages hear without a reload, and work that is done while one listens.

A page that listens gets every event from then on, and asks for the present state itself when it
begins; so an event may be lost without harm, and a listener that does not keep up is cut off: the
browser comes back by itself, and the page asks again.
"""

import asyncio
import json
import logging
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from domain.errors import SortboxError
from infra.sentences import explain

logger = logging.getLogger(__name__)

MOST_LISTENERS = 32
MOST_WAITING = 256
"""Events that wait for one listener; one that falls behind by more is cut off."""

KEEP_ALIVE_SECONDS = 15.0
RETRY = b"retry: 1000\n\n"
TROUBLE = "trouble"
"""The topic of what goes wrong in the background: a sentence."""

Periodic = Callable[[], float | None]
"""Work that is repeated; it may return how many seconds to wait before the next time."""


@dataclass(eq=False)
class Listener:
    loop: asyncio.AbstractEventLoop
    waiting: asyncio.Queue[bytes | None] = field(
        default_factory=lambda: asyncio.Queue(MOST_WAITING)
    )

    def put(self, event: bytes | None) -> None:
        """To be called in the listener's loop. None ends it, and so do too many events."""
        if self.waiting.full():
            while not self.waiting.empty():
                self.waiting.get_nowait()
            event = None
        self.waiting.put_nowait(event)


class Hub:
    """All that listen. `publish` may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: set[Listener] = set()
        self._is_heard = threading.Event()
        self._ended = threading.Event()
        self._resting: list[tuple[float, Periodic]] = []

    def publish(self, topic: str, data: Mapping[str, Any]) -> None:
        self._send(f"event: {topic}\ndata: {json.dumps(data)}\n\n".encode())

    def every(self, seconds: float, work: Periodic) -> None:
        """Repeat `work`, in a thread of its own, while at least one page listens.

        To be called before the first page does.
        """
        self._resting.append((seconds, work))

    def close(self) -> None:
        """End all listeners, and the work in the background after its present turn."""
        self._ended.set()
        self._is_heard.set()
        self._send(None)

    async def events(self, request: Request) -> Response:
        listener = Listener(asyncio.get_running_loop())
        with self._lock:
            if self._ended.is_set() or len(self._listeners) >= MOST_LISTENERS:
                return Response("Too many pages are open.", 503)
            self._listeners.add(listener)
            works, self._resting = self._resting, []
        self._is_heard.set()
        for work in works:
            threading.Thread(target=self._repeat, args=work, daemon=True).start()
        return StreamingResponse(self._stream(listener), media_type="text/event-stream")

    async def _stream(self, listener: Listener) -> AsyncIterator[bytes]:
        try:
            yield RETRY
            while True:
                try:
                    event = await asyncio.wait_for(listener.waiting.get(), KEEP_ALIVE_SECONDS)
                except TimeoutError:
                    yield b": still here\n\n"
                    continue
                if event is None:
                    return
                yield event
        finally:
            self._leave(listener)

    def _leave(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.discard(listener)
            if not self._listeners and not self._ended.is_set():
                self._is_heard.clear()

    def _send(self, event: bytes | None) -> None:
        with self._lock:
            for listener in self._listeners:
                if not listener.loop.is_closed():
                    listener.loop.call_soon_threadsafe(listener.put, event)

    def _repeat(self, seconds: float, work: Periodic) -> None:
        trouble = ""
        while not self._ended.is_set():
            self._is_heard.wait()
            if self._ended.is_set():
                return
            pause = None
            try:
                pause = work()
                sentence = ""
            except (SortboxError, BotoCoreError, ClientError, OSError) as error:
                sentence = explain(error) or str(error)
            except Exception as error:
                sentence = (
                    f"Part of this page does not work, by a defect of the console "
                    f"({type(error).__name__} in {work.__qualname__}). It is tried again; "
                    "what the console prints has the details."
                )
                if sentence != trouble:  # not at every turn
                    logger.exception("%s failed.", work.__qualname__)
            if sentence != trouble:
                trouble = sentence
                self.publish(TROUBLE, {"work": work.__qualname__, "sentence": sentence})
            self._ended.wait(pause or seconds)
