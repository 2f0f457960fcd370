"""The corrections in S3, below `training/corrections/`, and a cache of them on this machine.

S3 is the only state: the file of the cache may be deleted at any time, and several processes may
share it. A correction never changes, so each is read once; what is asked often is answered from
SQLite.

At a million corrections the file has some 750 MB, counts and lists take less than a second, and
reading all of them for the first time takes a million GET requests (0.40 USD), half an hour by
estimate. Later passes list the keys after the last one that is known (`refresh`); a pass over all
keys takes a thousand requests and some minutes, and finds what came late, or was deleted.
"""

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from threading import RLock

from aws.bucket import Bucket, Listed
from domain.corrections.coverage import MOST_HELD, Coverage, Held
from domain.corrections.form import (
    DOCUMENT_BYTES,
    NAME_TIME,
    Correction,
    from_json,
    name_of,
    to_json,
)
from domain.corrections.settling import Settled, settle
from domain.keys import CORRECTIONS, INBOX
from infra.review.lists import ReviewEntry, ReviewError

FILE = "corrections-1.db"
"""The number changes with the tables: another version's file is not read."""

TABLES = """
CREATE TABLE IF NOT EXISTS corrections (
    number INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, image TEXT NOT NULL,
    etag TEXT NOT NULL, before TEXT, label TEXT, who TEXT NOT NULL, withdraws TEXT
);
CREATE INDEX IF NOT EXISTS of_version ON corrections (image, etag);
CREATE TABLE IF NOT EXISTS unreadable (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settled (
    image TEXT NOT NULL, etag TEXT NOT NULL, name TEXT NOT NULL, before TEXT, label TEXT,
    who TEXT NOT NULL, disputed INTEGER NOT NULL, PRIMARY KEY (image, etag)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS in_time ON settled (name);
CREATE INDEX IF NOT EXISTS of_disputed ON settled (name) WHERE disputed;
CREATE INDEX IF NOT EXISTS of_labels ON settled (before, label, name);
"""
COLUMNS = "name, image, etag, before, label, who, withdraws"
BUSY_SECONDS = 30.0
READS_AT_ONCE = 16
CLOCK_SLACK = timedelta(minutes=15)
"""A pass over what is new begins so long before the last name: clocks differ, and a page that was
cut off sends later what it kept. S3 itself refuses clocks that differ by more."""

Version = tuple[str, str]
"""An image's key and an ETag."""


@dataclass(frozen=True, slots=True)
class CorrectionFilter:
    """Which settled corrections to list. None takes all; an empty text those without a label:
    rejected before, or none of these after.
    """

    before: str | None = None
    label: str | None = None
    who: str | None = None
    folder: str = INBOX
    disputed: bool = False


@dataclass(frozen=True, slots=True)
class LabelCount:
    before: str | None
    label: str | None
    count: int


@dataclass(frozen=True, slots=True)
class Totals:
    """Of image versions: `changed` got another label, `none` none of the labels."""

    corrected: int
    confirmed: int
    none: int
    disputed: int

    @property
    def changed(self) -> int:
        return self.corrected - self.confirmed - self.none


class CorrectionStore:
    """The corrections of one bucket. Its methods may be called by any thread.

    `folder` is where the cache is kept. Methods that speak to S3 raise botocore's errors, and all
    of them ReviewError where the disk is full.
    """

    def __init__(self, bucket: Bucket, folder: Path) -> None:
        self._bucket = bucket
        self._lock = RLock()
        self._file = folder / FILE
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._db = self._open()
        except sqlite3.OperationalError as error:
            raise ReviewError(f"The cache {self._file} cannot be used: {error}.") from error
        except sqlite3.DatabaseError:  # it is damaged: read everything again
            for path in folder.glob(f"{FILE}*"):
                path.unlink()
            self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            self._file, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        db.executescript(TABLES)
        return db

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def write(self, correction: Correction) -> None:
        """Store a correction; repeating it is harmless. It is in S3 when this returns.

        Raises ReviewError if S3 has another one of this name, or it cannot be written.
        """
        try:
            text = to_json(correction)
        except ValueError as error:
            raise ReviewError(f"This cannot be stored: {error}.") from error
        if not self._bucket.create(correction.key, text):
            stored = self._read(correction.name)
            if stored is None or replace(stored, who=correction.who) != correction:
                raise ReviewError(f"There is another correction at {correction.key}: try again.")
            correction = stored
        self._add([correction])

    def refresh(self, now: datetime | None = None) -> int:
        """Read what is new in S3; how many corrections it brought.

        With `now` (aware) only keys after the last known one are listed, less CLOCK_SLACK. Without
        it all keys are, and those that have been deleted are forgotten.
        """
        with self._using() as db:
            newest, number = db.execute("SELECT MAX(name), MAX(number) FROM corrections").fetchone()
        after = ""
        if now is not None and newest:
            after = min(newest, f"{now - CLOCK_SLACK:{NAME_TIME}}")
        added, last = 0, after
        listing = self._bucket.walk(CORRECTIONS, f"{CORRECTIONS}{after}.json" if after else "")
        while page := list(islice(listing, 1000)):
            names = [name for item in page if (name := name_of(item.key))]
            until = names[-1] if names else last
            known = self._names(last, until)
            added += self._fetch([item for item in page if name_of(item.key) not in known])
            if now is None:
                self._forget(known - set(names), number or 0)
            last = until
        if now is None:
            self._forget(self._names(last, "3"), number or 0)
        return added

    def _names(self, after: str, until: str) -> set[str]:
        """The names that were read, after `after`, up to `until`."""
        query = "SELECT name FROM {} WHERE name > ? AND name <= ?"
        with self._using() as db:
            return {
                name
                for table in ("corrections", "unreadable")
                for (name,) in db.execute(query.format(table), (after, until))
            }

    def _fetch(self, listed: Sequence[Listed]) -> int:
        names = [
            name for item in listed if (name := name_of(item.key)) and item.size <= DOCUMENT_BYTES
        ]
        if not names:
            return 0
        with ThreadPoolExecutor(READS_AT_ONCE) as threads:
            bodies = list(threads.map(self._read_or_none, names))
        self._add([one for one in bodies if one is not None])
        unreadable = [(name,) for name, one in zip(names, bodies, strict=True) if one is None]
        with self._using(writes=True) as db:
            db.executemany("INSERT OR IGNORE INTO unreadable VALUES (?)", unreadable)
        return len(names) - len(unreadable)

    def _read_or_none(self, name: str) -> Correction | None:
        """None for what is no correction, or was deleted since it was listed."""
        try:
            return self._read(name)
        except ValueError:
            return None

    def _read(self, name: str) -> Correction | None:
        stored = self._bucket.read(f"{CORRECTIONS}{name}.json")
        return from_json(name, stored.body) if stored else None

    def _add(self, corrections: Sequence[Correction]) -> None:
        rows = [
            (one.name, one.image, one.etag, one.before, one.to, one.who, one.withdraws)
            for one in corrections
        ]
        with self._using(writes=True) as db:
            db.executemany(
                f"INSERT OR IGNORE INTO corrections ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", rows
            )
            self._settle(db, {(one.image, one.etag) for one in corrections})

    def _forget(self, names: Iterable[str], number: int) -> None:
        """Forget corrections that are no longer in S3. Those added after `number` are newer than
        the listing.
        """
        with self._using(writes=True) as db:
            for name in names:
                db.execute("DELETE FROM unreadable WHERE name = ?", (name,))
                version = db.execute(
                    "DELETE FROM corrections WHERE name = ? AND number <= ? RETURNING image, etag",
                    (name, number),
                ).fetchone()
                if version:
                    self._settle(db, {version})

    def _settle(self, db: sqlite3.Connection, versions: Iterable[Version]) -> None:
        for image, etag in versions:
            settled = settle(_of_version(db, image, etag))
            ruling = settled.ruling
            if ruling is None:
                db.execute("DELETE FROM settled WHERE image = ? AND etag = ?", (image, etag))
                continue
            db.execute(
                "INSERT OR REPLACE INTO settled VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    *(image, etag, ruling.name, ruling.before, ruling.to, ruling.who),
                    bool(settled.differing),
                ),
            )

    def last_number(self) -> int:
        """The number of the last correction in this cache; it says nothing elsewhere."""
        with self._using() as db:
            number: int = db.execute("SELECT COALESCE(MAX(number), 0) FROM corrections").fetchone()[
                0
            ]
        return number

    def versions_after(self, number: int, limit: int) -> list[Version]:
        """The image versions of corrections that came into this cache after that number."""
        query = "SELECT DISTINCT image, etag FROM corrections WHERE number > ? LIMIT ?"
        with self._using() as db:
            return db.execute(query, (number, limit)).fetchall()

    def settled(self, versions: Iterable[Version]) -> dict[Version, Settled]:
        """What holds of each of these versions that has a correction."""
        settled = {}
        with self._using() as db:
            for image, etag in versions:
                state = settle(_of_version(db, image, etag))
                if state.ruling:
                    settled[image, etag] = state
        return settled

    def page(self, selection: CorrectionFilter, before: str, limit: int) -> list[Settled]:
        """Settled corrections, the newest first: at most `limit` that are older than the name
        `before`, unless it is empty.
        """
        first, end = _span(selection.folder)
        terms = ["image >= ?", "image < ?"]
        values: list[str | None] = [first, end]
        for column, value in (
            ("before", selection.before),
            ("label", selection.label),
            ("who", selection.who),
        ):
            if value is not None:
                terms.append(f"{column} IS ?")
                values.append(value or None)
        if selection.disputed:
            terms.append("disputed")
        if before:
            terms.append("name < ?")
            values.append(before)
        query = (
            f"SELECT image, etag FROM settled WHERE {' AND '.join(terms)} "
            "ORDER BY name DESC LIMIT ?"
        )
        with self._using() as db:
            versions = db.execute(query, (*values, limit)).fetchall()
            return [settle(_of_version(db, image, etag)) for image, etag in versions]

    def counts(self, limit: int) -> list[LabelCount]:
        """How many image versions went from which label to which, the most first."""
        query = (
            "SELECT before, label, COUNT(*) FROM settled "
            "GROUP BY before, label ORDER BY COUNT(*) DESC, before, label LIMIT ?"
        )
        with self._using() as db:
            return [LabelCount(*row) for row in db.execute(query, (limit,))]

    def totals(self, folder: str = INBOX, beyond: Iterable[Coverage] = ()) -> Totals:
        """Of the image versions below a folder, without those that `beyond` covers.

        A tenth of a second for MOST_HELD corrections that it names.
        """
        terms = ["image >= ? AND image < ?"]
        values: list[str | int] = [*_span(folder)]
        held: list[Held] = []
        for covered in beyond:
            terms.append("NOT (image >= ? AND image < ? AND name <= ? AND is_held(?, name))")
            values += [*_span(covered.folder), covered.newest, len(held) if covered.held else -1]
            held += [Held(covered.held)] if covered.held else []
        query = (
            "SELECT COUNT(*), TOTAL(label IS NOT NULL AND label IS before), TOTAL(label IS NULL), "
            f"TOTAL(disputed) FROM settled WHERE {' AND '.join(terms)}"
        )
        with self._using() as db:
            # Without hashes (-1), all that are not newer count as held.
            db.create_function("is_held", 2, lambda at, name: at < 0 or name in held[at])
            return Totals(*map(int, db.execute(query, values).fetchone()))

    def coverage(self, folder: str = INBOX) -> Coverage | None:
        """What a data set holds that has all corrections of a folder. None without any."""
        query = (
            "SELECT name, label IS NOT NULL FROM settled WHERE image >= ? AND image < ? "
            "ORDER BY image, etag"
        )
        count, newest, digest = 0, "", hashlib.sha256()
        names: list[str] = []
        with self._using() as db:
            for name, has_label in db.execute(query, _span(folder)):
                newest = max(newest, name)
                if len(names) <= MOST_HELD:
                    names.append(name)
                if has_label:
                    count += 1
                    digest.update(f"{name}\n".encode())
        if not newest:
            return None
        return Coverage(folder, count, newest, digest.hexdigest(), Held.encode(names))

    def labels(self) -> list[str]:
        """The labels that persons have named, and so confirmed as classes."""
        query = "SELECT DISTINCT label FROM settled WHERE label IS NOT NULL ORDER BY label"
        with self._using() as db:
            return [label for (label,) in db.execute(query)]

    def entries(self, folder: str = INBOX) -> Iterator[ReviewEntry]:
        """The settled corrections with a label, for `infra.review.fetch`; a thousand in memory."""
        first, end = _span(folder)
        etag = ""
        query = (
            "SELECT image, etag, label FROM settled WHERE label IS NOT NULL AND image < ? "
            "AND (image, etag) > (?, ?) ORDER BY image, etag LIMIT 1000"
        )
        while True:
            with self._using() as db:
                rows = db.execute(query, (end, first, etag)).fetchall()
            for image, etag, label in rows:
                yield ReviewEntry(image, etag, label)
            if not rows:
                return
            first, etag = rows[-1][:2]

    @contextmanager
    def _using(self, writes: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction, alone among the threads; one that writes, among the processes too."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
                try:
                    yield self._db
                except BaseException:
                    self._db.execute("ROLLBACK")
                    raise
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise ReviewError(
                    f"The cache {self._file} cannot be used: {error}. Nothing is lost: corrections "
                    "are in S3. Delete the file if that does not pass."
                ) from error


def _of_version(db: sqlite3.Connection, image: str, etag: str) -> list[Correction]:
    query = f"SELECT {COLUMNS} FROM corrections WHERE image = ? AND etag = ?"
    return [Correction(*row) for row in db.execute(query, (image, etag))]


def _span(folder: str) -> tuple[str, str]:
    """The keys below a folder (`inbox/trip/`): from the first one to before the second."""
    return folder, f"{folder.removesuffix('/')}{chr(ord('/') + 1)}"
