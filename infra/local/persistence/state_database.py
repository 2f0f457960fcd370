"""The emulator's state in one SQLite file: what its services know, and every message.

Services are saved as a whole, all in one transaction, so that a restart finds the state of one
moment. Messages are saved one by one, before the request that sends or deletes them is answered.

SQLite writes without waiting for the disk: the end of a process loses nothing, and a power cut at
most the last moments, but never the file. A million messages take about 1 GB and are all read at
the start; a queue's file grows with what is in the queues, not with what went through them.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

TABLES = """
CREATE TABLE IF NOT EXISTS services (name TEXT PRIMARY KEY, state TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY, queue TEXT NOT NULL, id TEXT NOT NULL, message TEXT NOT NULL,
    UNIQUE (queue, id)
);
"""
INSERT = "INSERT OR REPLACE INTO messages (queue, id, message) VALUES (?, ?, ?)"
BUSY_SECONDS = 10.0

Message = tuple[str, str, str]
"""A message as (queue, id, JSON)."""


class StateDatabase:
    """The state below one file. Its methods may be called by any thread.

    They raise sqlite3.Error, for example if the disk is full; the file is then as it was before.
    """

    def __init__(self, file: Path) -> None:
        self._lock = RLock()
        self._saved: dict[str, str] = {}
        self._db = sqlite3.connect(
            file, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(TABLES)

    def service(self, name: str) -> str | None:
        """What was saved of a service; None if it never was."""
        with self._lock:
            row = self._db.execute("SELECT state FROM services WHERE name = ?", (name,)).fetchone()
        return row[0] if row else None

    def save(self, states: Mapping[str, str], messages: Iterable[Message] | None = None) -> None:
        """Save services, those that changed since the last call, and replace all messages by
        `messages`, if they are not None.
        """
        with self._lock:
            changed = {name: new for name, new in states.items() if self._saved.get(name) != new}
            if not changed and messages is None:
                return
            with self._transaction():
                self._db.executemany(
                    "INSERT OR REPLACE INTO services VALUES (?, ?)", changed.items()
                )
                if messages is not None:
                    self._db.execute("DELETE FROM messages")
                    self._db.executemany(INSERT, messages)
            self._saved |= changed

    def messages(self) -> Iterator[Message]:
        """Every message, in the order of arrival."""
        with self._lock:
            rows = self._db.execute("SELECT queue, id, message FROM messages ORDER BY number")
            yield from rows

    def add(self, message: Message) -> None:
        with self._lock:
            self._db.execute(INSERT, message)

    def remove(self, queue: str, ids: Iterable[str]) -> None:
        with self._lock, self._transaction():
            self._db.executemany(
                "DELETE FROM messages WHERE queue = ? AND id = ?", ((queue, id_) for id_ in ids)
            )

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._db.in_transaction:  # SQLite itself ends it when the disk is full
                self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
