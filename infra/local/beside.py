"""The console that `up` starts beside the local cloud, and that `down` ends with everything else.

It is a process of the cloud by its mark, but no part of it: the cloud works without.
"""

import json
import os
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

import psutil

from infra.local.account import STAGE
from infra.local.place import REPOSITORY, VARIABLE, Place, write_private
from infra.local.processes import MARK

START_SECONDS = 30.0
POLL_SECONDS = 0.05

_outliving: "list[subprocess.Popen[bytes]]" = []
"""Consoles that this process has started and does not wait for: they outlive it."""


def console_address(place: Place) -> str | None:
    """The address that lets a browser in; a console is started where none runs.

    None if it does not start: its log says why.
    """
    with suppress(FileNotFoundError):
        before: dict[str, Any] = json.loads(place.console.read_text())
        is_own = before.get("root") == str(
            place.root
        )  # and not of the cloud that this is a copy of
        if is_own and _is_running(before["pid"], before["started"]):
            if before["started"] > _newest_source():
                address: str = before["address"]
                return address
            _end(before["pid"])  # it has the templates of before an update
    return _start(place)


def _start(place: Place) -> str | None:
    log_path = place.logs / "console.log"
    command = [sys.executable, str(REPOSITORY / "cli"), "console", "--no-browser"]
    with log_path.open("ab") as log:
        begin = log.tell()
        process = subprocess.Popen(
            [*command, "--stage", STAGE.name],
            env={**os.environ, VARIABLE: str(place.root), MARK: "console"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            umask=0o077,
        )
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with log_path.open("rb") as lines:
            lines.seek(begin)
            first = lines.readline().decode()
        if first.startswith("http") and first.endswith("\n"):
            started = psutil.Process(process.pid).create_time()
            running = {"root": str(place.root), "pid": process.pid, "started": started}
            running |= {"address": first.strip()}
            write_private(place.console, json.dumps(running))
            _outliving.append(process)
            return first.strip()
        time.sleep(POLL_SECONDS)
    process.kill()
    process.wait()
    return None


def _end(pid: int) -> None:
    with suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
        process = psutil.Process(pid)
        process.terminate()
        process.wait(START_SECONDS)


def _newest_source() -> float:
    """When a source of the product was last changed: seconds since 1970."""
    folders = (folder.parent for folder in REPOSITORY.glob("*/__init__.py"))
    return max(
        path.stat().st_mtime
        for folder in folders
        for path in folder.rglob("*")
        if path.suffix in (".py", ".jinja", ".js", ".css")
    )


def _is_running(pid: int, started: float) -> bool:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        is_same: bool = process.create_time() == started
        return is_same and process.status() != psutil.STATUS_ZOMBIE
    return False
