"""The index of answers: a cache of the outbox that can be filtered, sorted and paged.

It is a SQLite file, which grows by some 900 bytes an answer, and is never read into memory. Every
order ends with the image's key, so that pages follow each other without gaps. At a million answers
a filter without an index and a search by name read the whole table, which takes seconds.
"""

import hashlib
import json
import random
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from domain import timestamps
from domain.errors import SortboxError
from domain.keys import INBOX
from domain.model import Decision
from domain.reply import Label
from domain.result import Classified, Result, status

FORM = 2
"""Of the tables. A file of another form is deleted, and filled again."""

TOP_LABELS = 5
OPTIONS_SHOWN = 2_000
"""The most labels, folders and models that are offered for a filter."""

FILE = "answers.db"
MOST_BYTES = 2**53
LOT_PRIME = 2**31 - 1
AFTER_SLASH = "0"
"""The character after `/`: keys below `inbox/trip/` sort before `inbox/trip0`."""

Sort = Literal["newest", "oldest", "score", "score-up", "name", "sample"]

TABLES = f"""
CREATE TABLE IF NOT EXISTS answers (
    image TEXT PRIMARY KEY, folder TEXT NOT NULL, status TEXT NOT NULL, code TEXT NOT NULL,
    label TEXT NOT NULL, score REAL, labels TEXT NOT NULL, decision TEXT NOT NULL,
    model TEXT NOT NULL, etag TEXT NOT NULL,
    classified_at TEXT NOT NULL, bytes INTEGER, width INTEGER, height INTEGER,
    format TEXT NOT NULL, result TEXT NOT NULL UNIQUE, result_etag TEXT NOT NULL,
    lot INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS newest ON answers (classified_at, image);
CREATE INDEX IF NOT EXISTS scores ON answers (score, image);
CREATE INDEX IF NOT EXISTS labels ON answers (label, score, image);
CREATE INDEX IF NOT EXISTS decisions ON answers (decision, score, image);
CREATE INDEX IF NOT EXISTS folders ON answers (folder, image);
CREATE INDEX IF NOT EXISTS models ON answers (model, image);
CREATE TABLE IF NOT EXISTS pending (
    result TEXT PRIMARY KEY, etag TEXT NOT NULL, at TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS pending_newest ON pending (at);
CREATE TABLE IF NOT EXISTS others (key TEXT PRIMARY KEY, etag TEXT NOT NULL) WITHOUT ROWID;
PRAGMA user_version = {FORM};
"""


class AnswerIndexError(SortboxError):
    """The index cannot be read or written; the message is for the user."""


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """An answer as the index holds it.

    `label` and `score` are those of the best label; '' and None of a rejection, whose `code` says
    why. `decision` is '' where the model promises nothing. `bytes`, `width`, `height` are None, and
    `format` and `result_etag` '', as long as only the table of the folder has been
    read. `folder` is the key up to its last slash.
    """

    image: str
    folder: str
    status: str
    code: str
    label: str
    score: float | None
    labels: tuple[Label, ...]
    decision: Decision | Literal[""]
    model: str
    etag: str
    classified_at: str
    bytes: int | None
    width: int | None
    height: int | None
    format: str
    result: str
    result_etag: str


COLUMNS = tuple(field.name for field in fields(AnswerRow))
NAMES = ", ".join(COLUMNS)
PUT = f"INSERT OR {{}} INTO answers ({NAMES}, lot) VALUES ({', '.join('?' * (len(COLUMNS) + 1))})"


@dataclass(frozen=True, slots=True)
class AnswerFilter:
    """Which answers to select; an empty field selects all.

    `folder`: a prefix that ends in a slash; `inbox/` are the images in no folder. `low` and `high`
    bound the score, both inclusive; `unsure` is a score below this. `since` and `until` are days
    (`2026-11-28`, UTC), both inclusive. `name` is a part of the key, in either case of ASCII.
    """

    status: str = ""
    label: str = ""
    decision: str = ""
    folder: str = ""
    model: str = ""
    name: str = ""
    low: float | None = None
    high: float | None = None
    unsure: float | None = None
    since: str = ""
    until: str = ""

    def clause(self) -> tuple[str, list[Any]]:
        """The condition in SQL, and its parameters."""
        conditions: list[tuple[str, object]] = []
        if self.folder == INBOX:
            conditions.append(("folder = ?", INBOX))
        elif self.folder:
            conditions.append(("folder >= ?", storable(self.folder)))
            conditions.append(("folder < ?", storable(self.folder)[:-1] + AFTER_SLASH))
        texts = {"status = ?": self.status, "label = ?": self.label, "model = ?": self.model}
        texts |= {"decision = ?": self.decision, "classified_at >= ?": self.since}
        texts |= {"classified_at < ?": self.until and self.until + "U"}  # follows every `T…`
        texts |= {"image LIKE ? ESCAPE '!'": self.name and _pattern(self.name)}
        conditions += [(sql, storable(text)) for sql, text in texts.items() if text]
        numbers = {"score >= ?": self.low, "score <= ?": self.high, "score < ?": self.unsure}
        conditions += [(sql, number) for sql, number in numbers.items() if number is not None]
        sentence = " AND ".join(sql for sql, _ in conditions)
        return (f"WHERE {sentence}" if sentence else "", [value for _, value in conditions])


EVERYTHING = AnswerFilter()


@dataclass(frozen=True, slots=True)
class PendingResult:
    """A result of the outbox that has to be read; `at` is when it was written."""

    result: str
    etag: str
    at: str


@dataclass(frozen=True, slots=True)
class Option:
    """A value to filter by, and how many answers have it."""

    value: str
    count: int


class AnswerIndex:
    """The index in the file `path`. Every method may be called from any thread.

    A file that is damaged, or of another form, is deleted: it is a cache.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._version = 0
        try:
            self._create()
        except sqlite3.OperationalError as error:  # a full disk, or a lock that is never released
            raise self._failure(error) from error
        except sqlite3.DatabaseError:
            delete_database(path)
            self._create()

    @property
    def version(self) -> int:
        """Grows with every change that this process makes to the answers."""
        return self._version

    def select(
        self,
        chosen: AnswerFilter = EVERYTHING,
        sort: Sort = "newest",
        offset: int = 0,
        limit: int = 100,
        seed: int = 0,
    ) -> list[AnswerRow]:
        """The answers from `offset` on. `seed` chooses the random order of `sample`."""
        where, values = chosen.clause()
        order = _order(sort, seed)
        keys = f"SELECT image FROM answers {where} ORDER BY {order} LIMIT ? OFFSET ?"
        sql = f"SELECT {NAMES} FROM answers WHERE image IN ({keys}) ORDER BY {order}"
        with self._reading() as database:
            rows = database.execute(sql, (*values, limit, offset))
            return [_row(row) for row in rows]

    def count(self, chosen: AnswerFilter = EVERYTHING) -> int:
        where, values = chosen.clause()
        with self._reading() as database:
            return int(
                database.execute(f"SELECT COUNT(*) FROM answers {where}", values).fetchone()[0]
            )

    def position(
        self, image: str, chosen: AnswerFilter = EVERYTHING, sort: Sort = "newest", seed: int = 0
    ) -> int | None:
        """How many answers precede the image in this order; None if it is not among them."""
        where, values = chosen.clause()
        sql = (
            f"SELECT place FROM (SELECT image, ROW_NUMBER() OVER (ORDER BY {_order(sort, seed)}) "
            f"- 1 AS place FROM answers {where}) WHERE image = ?"
        )
        with self._reading() as database:
            row = database.execute(sql, (*values, storable(image))).fetchone()
        return int(row[0]) if row else None

    def get(self, image: str) -> AnswerRow | None:
        with self._reading() as database:
            sql = f"SELECT {NAMES} FROM answers WHERE image = ?"
            row = database.execute(sql, (storable(image),)).fetchone()
        return _row(row) if row else None

    def labels(self) -> list[Option]:
        """The most frequent labels."""
        return self._options("label")

    def folders(self) -> list[Option]:
        """The fullest folders."""
        return self._options("folder")

    def models(self) -> list[Option]:
        return self._options("model")

    def decisions(self) -> list[Option]:
        return self._options("decision")

    def pending(self, limit: int) -> list[PendingResult]:
        """Results to read, the newest first."""
        with self._reading() as database:
            sql = "SELECT result, etag, at FROM pending ORDER BY at DESC, result LIMIT ?"
            return [PendingResult(*row) for row in database.execute(sql, (limit,))]

    def count_pending(self) -> int:
        with self._reading() as database:
            return int(database.execute("SELECT COUNT(*) FROM pending").fetchone()[0])

    def put(self, rows: Iterable[AnswerRow]) -> None:
        """Write answers of the outbox, which are no longer pending.

        A result belongs to one image: a row of another image with the same result is replaced.
        """
        with self._writing() as database:
            for row in rows:
                self._version += 1
                database.execute(PUT.format("REPLACE"), _values(row))
                database.execute("DELETE FROM pending WHERE result = ?", (storable(row.result),))

    def put_provisional(self, rows: Iterable[AnswerRow]) -> None:
        """Write answers of a folder's table, where none is known yet."""
        with self._writing() as database:
            cursor = database.executemany(PUT.format("IGNORE"), map(_values, rows))
            self._version += cursor.rowcount

    def drop(self, results: Iterable[str]) -> None:
        """Remove what was known of these results: they are absent, or none of ours."""
        with self._writing() as database:
            for result in map(storable, results):
                cursor = database.execute("DELETE FROM answers WHERE result = ?", (result,))
                self._version += cursor.rowcount
                database.execute("DELETE FROM pending WHERE result = ?", (result,))

    def compare(self, listed: Iterable[PendingResult], after: str, until: str | None) -> None:
        """Compare a page of the outbox: all results whose keys sort after `after`, up to `until`
        (None: to the end).

        New and changed ones become pending; rows of results that are not listed are deleted.
        """
        end = "" if until is None else "AND result <= ?"
        bounds = [storable(key) for key in (after, until) if key is not None]
        with self._writing() as database:
            database.execute("DELETE FROM page")
            database.executemany(
                "INSERT OR REPLACE INTO page VALUES (?, ?, ?)",
                ((storable(one.result), one.etag, one.at) for one in listed),
            )
            for table in ("pending", "answers"):
                cursor = database.execute(
                    f"DELETE FROM {table} WHERE result > ? {end} "
                    "AND result NOT IN (SELECT result FROM page)",
                    bounds,
                )
            self._version += cursor.rowcount
            database.execute(
                "INSERT OR REPLACE INTO pending SELECT page.result, page.etag, page.at FROM page "
                "LEFT JOIN answers ON answers.result = page.result "
                "LEFT JOIN others ON others.key = page.result AND others.etag = page.etag "
                "WHERE answers.result_etag IS NOT page.etag AND others.key IS NULL"
            )

    def is_read(self, key: str, etag: str) -> bool:
        """Whether this table, or object that is no result, has been read."""
        with self._reading() as database:
            sql = "SELECT 1 FROM others WHERE key = ? AND etag = ?"
            return database.execute(sql, (storable(key), etag)).fetchone() is not None

    def skip(self, key: str, etag: str) -> None:
        """Remember an object that is no result, or is denied, so that it is read once."""
        with self._writing() as database:
            database.execute("INSERT OR REPLACE INTO others VALUES (?, ?)", (storable(key), etag))
            database.execute("DELETE FROM pending WHERE result = ?", (storable(key),))

    def _options(self, column: str) -> list[Option]:
        sql = (
            f"SELECT {column}, COUNT(*) AS number FROM answers WHERE {column} != '' "
            f"GROUP BY {column} ORDER BY number DESC, {column} LIMIT {OPTIONS_SHOWN}"
        )
        with self._reading() as database:
            return [Option(*row) for row in database.execute(sql)]

    def _create(self) -> None:
        with closing(_connect(self._path)) as database:
            form = database.execute("PRAGMA user_version").fetchone()[0]
            if form == FORM:
                database.execute("SELECT 1 FROM answers LIMIT 1")
                return
            if form:
                raise sqlite3.DatabaseError("the tables have another form")
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(TABLES)

    def _failure(self, error: sqlite3.Error) -> AnswerIndexError:
        return AnswerIndexError(
            f"The index of answers, {self._path}, cannot be used: {error}. See that the disk has "
            "room. The file is a cache: delete it while no console runs."
        )

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(_connect(self._path)) as database:
                yield database
        except sqlite3.DatabaseError as error:
            raise self._failure(error) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction. A second console of the same stage may write, too: SQLite serialises."""
        with self._lock, self._reading() as database:
            database.execute("CREATE TEMP TABLE page (result TEXT PRIMARY KEY, etag TEXT, at TEXT)")
            database.execute("BEGIN IMMEDIATE")
            with database:
                yield database


def to_row(result: Result, key: str, etag: str) -> AnswerRow:
    """The row of a result that is stored under `key` with this ETag.

    Raises ValueError, TypeError or AttributeError for a document whose values are of other types
    than those of our results.
    """
    source, by = result.source, result.by
    best = result.labels[:TOP_LABELS] if isinstance(result, Classified) else ()
    row = AnswerRow(
        image=result.image,
        folder=folder_of(result.image),
        status=status(result),
        code="" if isinstance(result, Classified) else result.code,
        label=best[0].label if best else "",
        score=best[0].score if best else None,
        labels=best,
        decision=(isinstance(result, Classified) and result.decision) or "",
        model=str(by.model) if by else "",
        etag=source.etag,
        classified_at=sortable(result.how.at),
        bytes=source.bytes,
        width=result.width if isinstance(result, Classified) else None,
        height=result.height if isinstance(result, Classified) else None,
        format=result.format if isinstance(result, Classified) else "",
        result=key,
        result_etag=etag,
    )
    check(row)
    return row


def check(row: AnswerRow) -> None:
    """Raises ValueError or TypeError for values that no result of ours has."""
    labels = (one.label for one in row.labels)
    texts = (row.image, row.code, row.model, row.etag, row.format, *labels)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("a text is none")
    if not row.image.startswith(INBOX):
        raise ValueError("the image is none of the inbox")
    sizes = (size for size in (row.bytes, row.width, row.height) if size is not None)
    if not all(0 <= int(size) < MOST_BYTES for size in sizes):
        raise ValueError("a size is out of bounds")
    if not all(0 <= one.score <= 1 for one in row.labels):  # a TypeError for a text
        raise ValueError("a score is out of bounds")


def folder_of(image: str) -> str:
    return image[: image.rfind("/") + 1]


def storable(text: str) -> str:
    """Lone surrogates, which JSON may hold and UTF-8 may not, as escapes."""
    return text.encode(errors="backslashreplace").decode()


def _lot(image: str) -> int:
    """A pseudo-random number for the random order."""
    digest = hashlib.blake2b(image.encode(errors="surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) % LOT_PRIME


def _order(sort: Sort, seed: int) -> str:
    numbers = random.Random(seed)
    factor, addend = numbers.randrange(1, LOT_PRIME), numbers.randrange(LOT_PRIME)
    return {
        "newest": "classified_at DESC, image DESC",
        "oldest": "classified_at, image",
        "score": "score DESC, image DESC",
        "score-up": "score IS NULL, score, image",
        "name": "image",
        "sample": f"(lot * {factor} + {addend}) % {LOT_PRIME}, image",
    }[sort]


OLDEST = timestamps.to_text(datetime.fromtimestamp(0, UTC))
"""Stands for a time that cannot be read; pages show none in its place."""


def sortable(text: str) -> str:
    """As our timestamps are, so that times sort as text; a time of another form is the oldest."""
    try:
        return timestamps.to_text(timestamps.parse(text))
    except (ValueError, OverflowError):
        return OLDEST


def _pattern(name: str) -> str:
    for special in "!%_":
        name = name.replace(special, f"!{special}")
    return f"%{name}%"


def _values(row: AnswerRow) -> tuple[object, ...]:
    values = {name: getattr(row, name) for name in COLUMNS}
    values["labels"] = json.dumps([astuple(label) for label in row.labels])
    texts = (storable(value) if isinstance(value, str) else value for value in values.values())
    return (*texts, _lot(row.image))


def _row(values: tuple[Any, ...]) -> AnswerRow:
    named = dict(zip(COLUMNS, values, strict=True))
    labels = tuple(Label(storable(label), score) for label, score in json.loads(named["labels"]))
    return AnswerRow(**named | {"labels": labels})


def _connect(path: Path) -> sqlite3.Connection:
    """Autocommit; `_writing` begins its transactions itself. A writer is awaited for 30 seconds."""
    database = sqlite3.connect(path, timeout=30, isolation_level=None)
    database.execute("PRAGMA synchronous = NORMAL")  # with WAL: a power cut costs the last answers
    return database


def delete_database(path: Path) -> None:
    """A cache that is damaged."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
