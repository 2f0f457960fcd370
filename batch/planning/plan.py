"""Planning a slice: walk on from the last one's end, and write down who answers what is pending.

Any number of planners may plan the same slice. Each writes its pages and manifests under a nonce of
its own, and the first to create the slice record wins; what the others wrote is left to the
lifecycle rule.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from batch.claim import Run
from batch.context import Cloud
from batch.jobs.collect import output_order
from batch.planning.page import Row, rows_to_text
from batch.planning.slice import LARGE, MB, SMALL, Direct, Part, Road, Slice, inputs_of, read
from batch.planning.walk import Walk, scope_of
from batch.unreadable import Others
from domain.keys import fits_manifest
from domain.scope import Scope


def plan(cloud: Cloud, run: Run, attempt: int, previous: Slice | None) -> Slice:
    """The slice after `previous` (None: the attempt's first), whoever planned it first."""
    index = previous.index + 1 if previous else 0
    model = str(cloud.active_model().id) if run.kind == "renewal" else None
    is_overdue = cloud.is_overdue(run.started_at, cloud.bounds.planning_patience_seconds)
    walk = Walk(cloud, run.scope, model, previous.cursor if previous else "", is_overdue).run()
    rows = walk.rows if attempt == 1 else _looked_at(cloud, walk.rows)
    groups = divide(rows, _most_direct(cloud, run, attempt, index) if walk.last else 0)
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
        kind=run.kind,
        model=model,
    )
    for folder in {scope_of(row.key, cloud.folder_depth) for row in rows if not row.etag}:
        if folder.is_folder:
            cloud.look_later(folder, False)  # its table is to forget what is gone
    for part, (road, rows) in enumerate(groups):
        _write_part(cloud, run, planned, part, road, rows)
    if cloud.bucket.create(run.keys.slice(attempt, index), planned.to_json()):
        return planned
    winner = read(cloud.bucket, run.keys, attempt, index)
    if winner is None:
        raise LookupError(f"slice {attempt}-{index} of {run.keys.prefix} came and went")
    return winner


def _most_direct(cloud: Cloud, run: Run, attempt: int, index: int) -> int:
    """So many images do without a job: late arrivals and left-overs, and small folders if set."""
    if attempt > 1 or not run.first:
        return cloud.endpoint_max_late
    return cloud.endpoint_max_first if index == 0 else 0


def _looked_at(cloud: Cloud, rows: Sequence[Row]) -> list[Row]:
    """What an attempt left over, with a note on those that cannot be read: a GET of a byte each."""
    others = Others(cloud.bucket)
    with ThreadPoolExecutor(cloud.bounds.heads_at_once) as threads:
        denied = list(threads.map(lambda row: others.is_denied(row.key), rows))
    return [replace(row, denied=True) if no else row for row, no in zip(rows, denied, strict=True)]


def divide(rows: Sequence[Row], most_late: int) -> list[tuple[Road, list[Row]]]:
    """Rows by the road that answers them; where a job would be for `most_late` or fewer, direct."""
    roads: dict[Road, list[Row]] = {SMALL: [], LARGE: [], Direct(): []}
    for row in rows:
        roads[road_of(row)].append(row)
    if len(roads[SMALL]) <= most_late:
        roads[Direct()] += roads.pop(SMALL)
    return [(road, sorted(rows, key=output_order)) for road, rows in roads.items() if rows]


def road_of(row: Row) -> Road:
    """Empty objects and odd names go direct: what a job does with them is documented nowhere.

    So do objects that a job would read in vain: one of them may fail it for all the others.
    """
    if row.size == 0 or row.size > LARGE.payload_mb * MB or not fits_manifest(row.key):
        return Direct()
    if row.denied or (row.archived and row.size <= SMALL.payload_mb * MB):
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
