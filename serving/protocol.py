"""Uvicorn's HTTP/1.1 protocol with limits on the size and time of headers and trailers.

Uvicorn accepts headers of any length and joins a long one in quadratic time: a single client that
sends 200 MB of header stops the event loop for minutes. It also waits forever for the end of the
headers, so that 2,048 incomplete ones exhaust the connections.
"""

from asyncio import TimerHandle, Transport

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 64 * 1024
"""The limit for headers, trailers, or a chunk's extensions; one read may exceed it.
InvokeEndpoint's headers take a few KB."""

HEAD_SECONDS = 10
REQUEST_SECONDS = 75
"""The time for a body, from the end of the headers. Longer than the application's own limit, so
that the application answers first."""


class BoundedProtocol(HttpToolsProtocol):
    """Answers 400 to headers that are too long, and closes connections that are too slow."""

    head_bytes = HEAD_BYTES
    head_seconds: float = HEAD_SECONDS
    request_seconds: float = REQUEST_SECONDS

    _unparsed = 0
    """Bytes received since the last end of headers, part of a body, or end of a request."""
    _timer: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )

    def connection_lost(self, exc: Exception | None) -> None:
        self._limit(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._unparsed += len(data)
        super().data_received(data)
        if self._unparsed > self.head_bytes and not self.transport.is_closing():
            self._limit(None)
            self.send_400_response("The head or trailer is too long.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._limit(self.head_seconds)

    def on_headers_complete(self) -> None:
        self._unparsed = 0
        self._limit(self.request_seconds)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unparsed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unparsed = 0
        self._limit(None)
        super().on_message_complete()

    def _limit(self, seconds: float | None) -> None:
        """Restart the timer that closes the connection; None stops it."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._end)

    def _end(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
