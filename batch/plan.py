"""Planning a slice: walk on from the last one's end, and write down who answers what is pending.

Any number of planners may plan the same slice. Each writes its pages and manifests under a nonce of
its own, and the first to create the slice record wins; what the others wrote is left to the
lifecycle rule.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from batch.bucket import Bucket, Listed
from batch.claim import Run
from batch.cloud import Cloud
from batch.collect import output_order
from batch.listing import UNLISTED, Candidate, is_pending, is_settled_by_listing, together
from batch.page import Row, rows_to_text
from batch.slice import LARGE, MB, SMALL, Direct, Part, Road, Slice, inputs_of, read
from domain.keys import INBOX, OUTBOX, fits_manifest
from domain.route import Ignored, InFolder, route
from domain.scope import Scope

HEAD_COST = 20
"""What a HEAD costs of the bound on a walk, where a listed key costs one: about its time."""


@dataclass
class Walk:
    """One walk over a scope from `after` until it ends, or has cost enough at `cursor`."""

    cloud: Cloud
    scope: Scope
    after: str
    cursor: str = ""
    last: bool = True
    ignored: int = 0
    cost: int = 0
    rows: list[Row] = field(default_factory=list)

    def run(self) -> "Walk":
        self.cursor = self.after
        for candidate in self._candidates():
            if is_settled_by_listing(candidate):
                continue
            self.cost += HEAD_COST if candidate.result else 0
            if is_pending(self.cloud.bucket, candidate):
                self.rows.append(Row.of(candidate.image))
        return self

    def _candidates(self) -> Iterator[Candidate]:
        if not self.scope.is_folder:
            return _one(self.cloud.bucket, INBOX + self.scope.path)
        results = self.cloud.bucket.walk(OUTBOX + self.scope.path, _result_side(self.after))
        return together(self._images(), self._counted(results))

    def _images(self) -> Iterator[Listed]:
        bounds = self.cloud.bounds
        for listed in self.cloud.bucket.walk(INBOX + self.scope.path, self.after):
            if self.cost >= bounds.walk_keys or len(self.rows) >= bounds.slice_rows:
                self.last = False
                return
            self.cost += 1
            self.cursor = listed.key
            match route(listed.key, self.cloud.folder_depth):
                case InFolder(folder=folder) if folder == self.scope:
                    yield listed
                case Ignored():
                    self.ignored += 1

    def _counted(self, results: Iterator[Listed]) -> Iterator[Listed]:
        for result in results:
            self.cost += 1
            yield result


def _result_side(after: str) -> str:
    """Where the results of what follows `after` begin: a result's key sorts after its image's."""
    return OUTBOX + after.removeprefix(INBOX) if after else ""


def _one(bucket: Bucket, key: str) -> Iterator[Candidate]:
    image = bucket.head(key)
    if image:
        yield Candidate(image.listed, UNLISTED)


def plan(cloud: Cloud, run: Run, attempt: int, previous: Slice | None) -> Slice:
    """The slice after `previous` (None: the attempt's first), whoever planned it first."""
    index = previous.index + 1 if previous else 0
    walk = Walk(cloud, run.scope, previous.cursor if previous else "").run()
    is_late = attempt > 1 or not run.first
    groups = divide(walk.rows, cloud.endpoint_max_late if is_late and walk.last else 0)
    planned = Slice(
        path=run.path,
        attempt=attempt,
        index=index,
        planner=cloud.new_nonce(),
        after=walk.after,
        cursor=walk.cursor,
        last=walk.last,
        ignored=walk.ignored,
        rows=len(walk.rows) + (previous.rows if previous else 0),
        parts=tuple(
            Part(road, len(rows), -(-len(rows) // cloud.bounds.page_rows)) for road, rows in groups
        ),
    )
    for part, (road, rows) in enumerate(groups):
        _write_part(cloud, run, planned, part, road, rows)
    if cloud.bucket.create(run.keys.slice(attempt, index), planned.to_json()):
        return planned
    winner = read(cloud.bucket, run.keys, attempt, index)
    if winner is None:
        raise LookupError(f"slice {attempt}-{index} of {run.keys.prefix} came and went")
    return winner


def divide(rows: Sequence[Row], most_late: int) -> list[tuple[Road, list[Row]]]:
    """Rows by the road that answers them; where a job would be for `most_late` or fewer, direct."""
    roads: dict[Road, list[Row]] = {SMALL: [], LARGE: [], Direct(): []}
    for row in rows:
        roads[road_of(row)].append(row)
    if len(roads[SMALL]) <= most_late:
        roads[Direct()] += roads.pop(SMALL)
    return [(road, sorted(rows, key=output_order)) for road, rows in roads.items() if rows]


def road_of(row: Row) -> Road:
    """Empty objects and odd names go direct: what a job does with them is documented nowhere."""
    if row.size == 0 or row.size > LARGE.payload_mb * MB or not fits_manifest(row.key):
        return Direct()
    return SMALL if row.size <= SMALL.payload_mb * MB else LARGE


def _write_part(
    cloud: Cloud, run: Run, planned: Slice, part: int, road: Road, rows: Sequence[Row]
) -> None:
    size = cloud.bounds.page_rows
    for page, first in enumerate(range(0, len(rows), size)):
        text = rows_to_text(rows[first : first + size])
        cloud.bucket.put(planned.page_key(run.keys, part, page), text)
    if not isinstance(road, Direct):
        manifest = manifest_of(cloud.bucket.name, run.scope, rows)
        cloud.bucket.put(planned.manifest_key(run.keys, part), manifest)


def manifest_of(bucket: str, scope: Scope, rows: Sequence[Row]) -> str:
    """Of named objects, always: a bare prefix takes every object that begins with it."""
    prefix = inputs_of(scope)
    relative = [row.key.removeprefix(prefix) for row in rows]
    return json.dumps([{"prefix": f"s3://{bucket}/{prefix}"}, *relative], ensure_ascii=False)
