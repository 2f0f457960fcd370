"""What the endpoint has made of versions of images, kept on this machine in a SQLite file."""

import hashlib
import sqlite3
import threading
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

from console.answers.index import delete_database


class BlobCache:
    """Bytes by name, in one table with one column for them; the oldest are deleted first.

    Every method may be called from any thread. A damaged file is deleted: it is a cache.
    """

    def __init__(self, path: Path, table: str, column: str) -> None:
        self._path = path
        self._table = table
        self._column = column
        self._lock = threading.Lock()
        try:
            self._create()
        except sqlite3.DatabaseError:
            delete_database(path)
            self._create()

    def get(self, name: bytes) -> bytes | None:
        return self.get_all([name]).get(name)

    def get_all(self, names: Iterable[bytes]) -> dict[bytes, bytes]:
        """Those of the names that are kept."""
        sql = f"SELECT {self._column} FROM {self._table} WHERE name = ?"
        kept = {}
        with closing(self._connect()) as database:
            for name in names:
                row = database.execute(sql, (name,)).fetchone()
                if row:
                    kept[name] = row[0]
        return kept

    def keep(self, name: bytes, blob: bytes, most_kept: int) -> None:
        """Keep `blob` and, of all, the newest `most_kept`. On a full disk nothing is kept."""
        with (
            suppress(sqlite3.OperationalError),
            self._lock,
            closing(self._connect()) as database,
            database,
        ):
            sql = f"INSERT OR REPLACE INTO {self._table} (name, {self._column}) VALUES (?, ?)"
            number = database.execute(sql, (name, blob)).lastrowid
            assert number is not None
            oldest = number - most_kept
            database.execute(f"DELETE FROM {self._table} WHERE number <= ?", (oldest,))

    def _create(self) -> None:
        with closing(self._connect()) as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(
                f"CREATE TABLE IF NOT EXISTS {self._table} (number INTEGER PRIMARY KEY, "
                f"name BLOB NOT NULL UNIQUE, {self._column} BLOB NOT NULL);"
            )

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=30)
        database.execute("PRAGMA synchronous = NORMAL")
        return database


def blob_name(*parts: str) -> bytes:
    """The name of what was made of an image: its key, its ETag, and what else counts."""
    return hashlib.sha256("\n".join(parts).encode(errors="surrogatepass")).digest()
