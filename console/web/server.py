"""The console's server, on this machine's loopback interface alone."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import uvicorn

from console.context import Console
from console.web.access import HOST, Access
from console.web.app import create_app
from console.web.events import Hub
from domain.errors import SortboxError

PORT_FILE = "port"


class PortTakenError(SortboxError):
    """The port that a person named is in use."""


@dataclass(frozen=True, slots=True)
class ListeningConsole:
    """A console that listens; `address` is what a browser opens to be let in."""

    address: str
    run: Callable[[], None]
    """Serves until Ctrl-C, or until `end` is called from another thread."""

    end: Callable[[], None]


def listen(console: Console, path: str = "/", port: int = 0) -> ListeningConsole:
    """Listen on a port of 127.0.0.1; 0 is that of the last time, if it is free, or any other. The
    address leads to `path`.

    The same port again is the same address to a browser: bookmarks stay, and so does what a page
    keeps in the browser until it is stored. Raises PortTakenError.
    """
    remembered = console.folder / PORT_FILE
    try:
        listener = socket.create_server((HOST, port or _read_port(remembered)))
    except OSError as error:
        if port:
            raise PortTakenError(
                f"Port {port} of {HOST} cannot be used: {error.strerror}."
            ) from error
        listener = socket.create_server((HOST, 0))
    remembered.write_text(str(listener.getsockname()[1]))
    access = Access(read_only=console.read_only)
    app = create_app(console, access)
    config = uvicorn.Config(
        app,
        log_level="error",
        access_log=False,
        timeout_graceful_shutdown=1,
        server_header=False,
    )
    bound = listener.getsockname()[1]
    server = _Server(config, app.state.hub)
    address = f"http://{HOST}:{bound}{access.entry(path)}"
    return ListeningConsole(
        address, partial(server.run, [listener]), partial(setattr, server, "should_exit", True)
    )


class _Server(uvicorn.Server):
    """Ends the streams of events first: those whom it had to cancel, it reports as errors."""

    def __init__(self, config: uvicorn.Config, hub: Hub) -> None:
        super().__init__(config)
        self._hub = hub

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._hub.close()
        await super().shutdown(sockets)


def _read_port(file: Path) -> int:
    """The port of the last time; 0 if there is none."""
    try:
        port = int(file.read_text())
    except (OSError, ValueError):
        return 0
    return port if 0 < port < 2**16 else 0
