"""A full disk: what does not fit is refused before it is written, and what fails is told."""

import asyncio
import errno
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from infra.local.access.guard import Receive, Scope, Send
from infra.local.persistence import disk
from infra.local.persistence.disk import RESERVE_BYTES, DiskGuard


class App:
    """Writes what it is sent, unless `trouble` happens, which it hides as the emulator does."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.trouble = trouble
        self.calls = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        try:
            with disk.failing():
                if self.trouble is not None:
                    raise self.trouble
        except (OSError, sqlite3.Error):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"stored"})


def answer(app: App, free: int, method: str = "PUT", size: int = 1000) -> tuple[int, bytes]:
    sent: list[Any] = []
    scope: Scope = {
        "type": "http",
        "method": method,
        "raw_path": b"/bucket/inbox/a.jpg",
        "query_string": b"",
        "headers": [(b"content-length", str(size).encode())],
    }

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(DiskGuard(app, Path("/cloud"), lambda folder: free)(scope, receive, send))
    start, *bodies = sent
    return start["status"], b"".join(each["body"] for each in bodies)


def test_what_fits_beside_the_reserve_is_stored() -> None:
    assert answer(App(), RESERVE_BYTES + 1000) == (200, b"stored")


def test_an_object_that_does_not_fit_is_refused_before_anything_is_written() -> None:
    app = App()
    status, body = answer(app, RESERVE_BYTES + 999)
    assert (status, app.calls) == (507, 0)
    assert b"<Code>InsufficientStorage</Code>" in body
    assert b"67 MB are free at /cloud, and 67 MB are kept for its state. Free some space" in body


@pytest.mark.parametrize(
    ("method", "size"), [("GET", 0), ("DELETE", 0), ("POST", 4000)], ids=["get", "delete", "small"]
)
def test_what_frees_space_or_is_small_is_answered_from_the_reserve(method: str, size: int) -> None:
    assert answer(App(), 0, method, size) == (200, b"stored")


@pytest.mark.parametrize(
    "trouble",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        sqlite3.OperationalError("database or disk is full"),
    ],
    ids=["disk", "quota", "database"],
)
def test_a_write_that_fails_is_told_although_the_emulator_says_nothing(
    trouble: Exception,
) -> None:
    status, body = answer(App(trouble), 10 * RESERVE_BYTES)
    assert status == 507
    assert b"stored" not in body


def test_other_trouble_is_not_a_full_disk() -> None:
    broken = App(OSError(errno.EIO, "Input/output error"))
    assert answer(broken, 10 * RESERVE_BYTES) == (200, b"stored")
