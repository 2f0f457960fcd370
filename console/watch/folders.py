"""The folders of a stage: those with an open run or new images with their progress, and the last
ones that are done.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from console.watch.pace import Pace
from domain.keys import BEATS, CLAIMS, claim_key, waiting_key
from domain.scope import Scope
from infra.diagnostics import findings
from infra.diagnostics.catalog import MAX_ROWS, READS_AT_ONCE, Row, folder_row
from infra.diagnostics.findings import StatusSources

READS_A_TURN = 200
RENEWED_A_TURN = 20
"""Folders that are done and are read again at each turn, so that a change comes to be seen."""

COUNTED_FOLDERS = 20
QUICK_COUNT_SECONDS = 1.0
COUNT_REST = 20
"""A folder that took longer to count is counted again after 20 times as long."""

STUCK_SECONDS = 30.0
EXPLAINED_FOLDERS = 5
OPEN_LISTED = 1000


@dataclass(slots=True)
class Count:
    facts: Mapping[str, Any]
    due: float
    pace: Pace


@dataclass(slots=True)
class Folders:
    """What is known of each folder: at 40,000 folders, the most that are listed, about 20 MB.

    A turn costs two LISTs, two GETs for each folder that it reads (all live ones, then those that
    were read longest ago), and the listings of live folders, which pause in proportion to what
    they take.
    """

    sources: StatusSources
    now: Callable[[], float]
    known: dict[str, Row] = field(default_factory=dict)
    """In the order of reading: the one that was read longest ago first."""

    counts: dict[str, Count] = field(default_factory=dict)

    def turn(self, names: list[str]) -> list[Row]:
        """The rows to show, live folders first, then the newest, at most MAX_ROWS."""
        at = self.now()
        present = frozenset(names)
        for gone in [name for name in self.known if name not in present]:
            del self.known[gone]
        unread = list(islice((name for name in names if name not in self.known), READS_A_TURN))
        self._read(unread)
        live = self._live(names)
        again = [*live, *islice(self.known, RENEWED_A_TURN)]
        self._read([name for name in dict.fromkeys(again) if name not in unread])
        rows = [self._progress(self.known[name], at) for name in live]
        self.counts = {name: count for name, count in self.counts.items() if name in live}
        self._explain(rows, at)
        rest = [row for name, row in self.known.items() if name not in live]
        rest.sort(key=lambda row: str(row["updated"] or ""), reverse=True)
        return [*rows, *rest][:MAX_ROWS]

    def _read(self, names: list[str]) -> None:
        with ThreadPoolExecutor(READS_AT_ONCE) as pool:
            for row in pool.map(lambda name: folder_row(self.sources.bucket, name), names):
                self.known.pop(row["folder"], None)
                self.known[row["folder"]] = row

    def _live(self, names: list[str]) -> dict[str, None]:
        """The folders with an open run, with images that no run has listed, or never answered."""
        bucket = self.sources.bucket
        runs = {item.key for item in islice(bucket.walk(CLAIMS), OPEN_LISTED)}
        waiting = {item.key for item in islice(bucket.walk(BEATS), OPEN_LISTED)}
        live: dict[str, None] = {}
        for name in names:
            token, row = Scope(name).token, self.known.get(name)
            is_new = row is not None and row["updated"] is None
            if claim_key(token) in runs or waiting_key(token) in waiting or is_new:
                live[name] = None
        return dict.fromkeys(islice(live, COUNTED_FOLDERS))

    def _progress(self, row: Row, at: float) -> Row:
        """The row with the counts of a live folder, its rate and the time left."""
        name = row["folder"]
        count = self.counts.get(name)
        if count is None or at >= count.due:
            count = self._count(name, at, count.pace if count else Pace())
        images, answers = count.facts["images"], count.facts["answers"]
        return dict(row) | {
            "live": True,
            "images": images,
            "answers": answers,
            "rate": round(count.pace.rate, 2),
            "seconds_left": count.pace.seconds_left(images),
            "waits": [],
        }

    def _count(self, name: str, at: float, pace: Pace) -> Count:
        started = self.now()
        facts = findings.of_folder(self.sources, Scope(name)).facts
        took = self.now() - started
        pace.add(at, facts["answers"])
        rest = COUNT_REST * took if took > QUICK_COUNT_SECONDS else 0
        self.counts[name] = Count(facts, at + rest, pace)
        return self.counts[name]

    def _explain(self, rows: list[Row], at: float) -> None:
        """Say of the first folders that are stuck what they wait for, as `status` says it."""
        stuck = [row for row in rows if self.counts[row["folder"]].pace.is_stuck(at, STUCK_SECONDS)]
        for row in stuck[:EXPLAINED_FOLDERS]:
            about = findings.of_run(self.sources, Scope(row["folder"]))
            row["waits"].extend(finding.sentence for finding in about)
