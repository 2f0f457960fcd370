"""What is known of an action: which commands it runs, how far it is, and how it ended.

An action has three files in one folder: its record (JSON), its log, and a lock. The lock is held by
the processes that run the action, and the kernel releases it however they end. So a console that
was killed, or a second one of the same bucket, still knows what runs.
"""

import fcntl
import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from domain.foreign import visible
from infra.local.place import write_private

ID = re.compile(r"[0-9]{8}T[0-9]{12}-[0-9a-f]{8}")
"""Begins with its time, to the microsecond: ids sort in the order of their actions."""

OUTCOMES = {
    0: "done",
    1: "failed",
    2: "failed: the command line is wrong",
    3: "done, and the answer is no",
    130: "interrupted",
}
"""The exit codes of `./sortbox`, in words."""

RUNNING, UNKNOWN = "running", "ended unknown"
KEPT_ACTIONS = 100
"""Of a bucket, with their logs; older ones are deleted."""


@dataclass(frozen=True, slots=True)
class Action:
    id: str
    verb: str
    title: str
    commands: tuple[tuple[str, ...], ...]
    """The words of `./sortbox`, command by command; the first that does not end with 0 is the
    last."""
    is_exclusive: bool
    """It changes the model or starts jobs, so it is the only one of its kind."""
    started_at: str
    step: int = 0
    """Which command runs, or ran last."""
    code: int | None = None
    """The exit code; None while it runs, and where nobody was left to write it down."""
    ended_at: str | None = None
    is_running: bool = False

    @property
    def state(self) -> str:
        """In words, for a person."""
        if self.is_running:
            return RUNNING
        if self.code is None:
            return UNKNOWN
        return OUTCOMES.get(self.code, f"ended with exit code {self.code}")

    def command_lines(self) -> list[str]:
        """What a person types in a terminal to do the same."""
        return [command_line(words) for words in self.commands]


def command_line(words: tuple[str, ...]) -> str:
    return visible(shlex.join(("./sortbox", *words)))


@dataclass(frozen=True, slots=True)
class ActionFiles:
    """The files of one action."""

    folder: Path
    id: str

    @property
    def record(self) -> Path:
        return self.folder / f"{self.id}.json"

    @property
    def log(self) -> Path:
        return self.folder / f"{self.id}.log"

    @property
    def lock(self) -> Path:
        return self.folder / f"{self.id}.lock"

    def write(self, action: Action) -> None:
        write_private(self.record, json.dumps(asdict(action)))

    def read(self) -> Action | None:
        """None if there is no such action, or if its record was cut off with the machine."""
        is_held = self.is_held()  # first: whoever releases the lock has written the exit code
        try:
            document: dict[str, Any] = json.loads(self.record.read_text())
            document["commands"] = tuple(tuple(words) for words in document["commands"])
            document["is_running"] = is_held and document["code"] is None
            return Action(**document)
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def is_held(self) -> bool:
        """Whether the action runs."""
        try:
            with self.lock.open() as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def holder(self) -> int | None:
        """The process that runs the action, and leads its process group; None if none does."""
        if not self.is_held():
            return None
        text = self.lock.read_text()
        return int(text) if text.isdigit() else None

    def delete(self) -> None:
        for path in (self.record, self.log, self.lock):
            path.unlink(missing_ok=True)


def ids(folder: Path) -> Iterator[str]:
    """The ids of a folder's actions, the newest first: an id begins with its time."""
    names = sorted((path.stem for path in folder.glob("*.json")), reverse=True)
    yield from (name for name in names if ID.fullmatch(name))
