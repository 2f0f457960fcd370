"""A full disk is said before and while it happens, instead of losing what was uploaded.

`DiskGuard` refuses what would not fit before anything of it is written, and keeps a reserve for the
state, messages and logs of what is there. What fails all the same, because another program took the
reserve, is noted by `failing` and answered with the same error.
"""

import errno
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from infra.local.access import guard
from infra.local.access.guard import App, Message, Receive, Scope, Send
from infra.local.access.sigv4 import HttpRequest, RequestRefusedError

RESERVE_BYTES = 64 * 1024 * 1024
START_BYTES = 256 * 1024 * 1024
"""What has to be free at the start: the reserve, the bundled model, logs, and some photographs."""

SMALL_BYTES = 1024 * 1024
"""Requests below this size are accepted as long as the reserve lasts, so that something can be
deleted. Objects are not among them."""

CODE, STATUS = "InsufficientStorage", 507
"""Of WebDAV (RFC 4918): AWS has no error for a full disk, and clients do not retry this status."""

_failures: ContextVar[list[BaseException]] = ContextVar("failures")


def free_bytes(folder: Path) -> int:
    """Free on the disk of the folder, or where it will be made."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def free_for_uploads(folder: Path) -> int:
    """What may be uploaded; negative where the reserve is used up."""
    return free_bytes(folder) - RESERVE_BYTES


def shortage(folder: Path, free: int) -> str:
    return (
        f"The disk of the local cloud is full: {free // 10**6:,} MB are free at {folder}, and "
        f"{RESERVE_BYTES // 10**6} MB are kept for its state. Free some space, then try again."
    )


@contextmanager
def failing() -> Iterator[None]:
    """Note that the disk is full, if that is what fails within it, and raise on."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        is_full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        if is_full or "is full" in str(error):
            _failures.get([]).append(error)
        raise


class DiskGuard:
    """ASGI middleware before the application that writes below `folder`; `free` measures it."""

    def __init__(
        self, application: App, folder: Path, free: Callable[[Path], int] = free_bytes
    ) -> None:
        self._app = application
        self._folder = folder
        self._free = free
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = HttpRequest(
            scope["method"],
            scope.get("raw_path") or b"",
            scope["query_string"],
            list(scope["headers"]),
        )
        size = _size(request)
        free = self._free(self._folder)
        if size and free - self._under_way - size < RESERVE_BYTES:
            await guard.drain(request, receive)
            await self._refuse(request, free, send)
            return
        self._under_way += size
        try:
            await self._answer(request, scope, receive, send)
        finally:
            self._under_way -= size

    async def _answer(
        self, request: HttpRequest, scope: Scope, receive: Receive, send: Send
    ) -> None:
        failures: list[BaseException] = []
        token = _failures.set(failures)
        has_begun = False

        async def send_unless_full(message: Message) -> None:
            nonlocal has_begun
            if has_begun or not failures:
                has_begun = True
                await send(message)

        try:
            await self._app(scope, receive, send_unless_full)
        finally:
            _failures.reset(token)
            if failures and not has_begun:
                await self._refuse(request, self._free(self._folder), send)

    async def _refuse(self, request: HttpRequest, free: int, send: Send) -> None:
        refused = RequestRefusedError(CODE, shortage(self._folder, free), STATUS)
        await guard.refuse(request, None, refused, send)


def _size(request: HttpRequest) -> int:
    """How much a request may write: its body, if it is an object or large, else nothing."""
    is_object = request.method == "PUT"
    if not is_object and request.method != "POST":
        return 0
    lengths = request.values("content-length")
    length = int(lengths[0]) if lengths and lengths[0].isdigit() else 0
    return max(length, 1) if is_object or length > SMALL_BYTES else 0
