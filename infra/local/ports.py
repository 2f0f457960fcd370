"""Free ports on 127.0.0.1: the ones of last time where they still are."""

import socket
from collections.abc import Callable

from infra.local.place import Place, Ports


def choose(place: Place, say: Callable[[str], None]) -> Ports:
    """Remembers its choice. A port that is taken meanwhile makes the one who binds it fail."""
    before = Ports.read(place.ports)
    chosen = Ports(
        _port("AWS", before.aws if before else None, say),
        _port("SageMaker", before.sagemaker if before else None, say),
    )
    chosen.write(place.ports)
    return chosen


def _port(what: str, before: int | None, say: Callable[[str], None]) -> int:
    if before is not None and _is_free(before):
        return before
    chosen = _any_free()
    if before is not None:
        say(f"Port {before} is taken by another program; {what} answers on {chosen} from now on.")
    return chosen


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _any_free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
