"""The console's server, on this machine's loopback interface alone."""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import uvicorn

from console.context import Console
from console.web.access import HOST, Access
from console.web.app import create_app
from domain.errors import SortboxError


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
    """Listen on a port of 127.0.0.1; 0 is any free one. The address leads to `path`.

    Raises PortTakenError.
    """
    try:
        listener = socket.create_server((HOST, port))
    except OSError as error:
        raise PortTakenError(f"Port {port} of {HOST} cannot be used: {error.strerror}.") from error
    access = Access(read_only=console.read_only)
    config = uvicorn.Config(
        create_app(console, access),
        log_level="error",
        access_log=False,
        timeout_graceful_shutdown=1,  # pages that listen for events never end by themselves
        server_header=False,
    )
    bound = listener.getsockname()[1]
    server = uvicorn.Server(config)
    address = f"http://{HOST}:{bound}{access.entry(path)}"
    return ListeningConsole(
        address, partial(server.run, [listener]), partial(setattr, server, "should_exit", True)
    )
