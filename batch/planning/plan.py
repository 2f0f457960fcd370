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
from batch.planning.slice import (
    LARGE,
    MB,
    SMALL,
    Direct,
    Part,
    Road,
    Row,
    Slice,
    inputs_of,
    read,
    rows_to_text,
)
from batch.planning.walk import Walk, scope_of
from batch.unreadable import Others
from domain.keys import fits_manifest, result_key
from domain.result import STATUS, Version, source_version
from domain.route import InFolder, Single, route
from domain.scope import Scope

COMPANIONS = 100
"""Images that are looked at for one that has labels: a HEAD each, once an attempt."""


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
    for part, group in enumerate(groups):
        beside = _companion(cloud, run) if _needs_one(cloud, run, planned, part) else []
        _write_part(cloud, run, planned, part, group, beside)
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


def _needs_one(cloud: Cloud, run: Run, planned: Slice, part: int) -> bool:
    """Whether a job is for a few large images, of which the attempts before it answered nothing."""
    return (
        planned.attempt > 1 and planned.is_alone(part) and not cloud.bucket.page(run.keys.outputs)
    )


def _companion(cloud: Cloud, run: Run) -> list[Row]:
    """A small image that has labels already, to be answered once more beside the job's own.

    A job that answers it, and none of its own, is healthy, and gave them up.
    """
    for image in cloud.bucket.page(inputs_of(run.scope))[:COMPANIONS]:
        is_routed = isinstance(route(image.key, cloud.folder_depth), InFolder | Single)
        row = Row.of(image)
        if not is_routed or not 0 < row.size <= SMALL.payload_mb * MB or road_of(row) != SMALL:
            continue
        result = cloud.bucket.head(result_key(row.key))
        about = result.metadata if result else {}
        is_its = source_version(about).is_same(Version(row.etag))
        if about.get(STATUS) == "classified" and is_its:
            return [row]
    return []


def _write_part(
    cloud: Cloud,
    run: Run,
    planned: Slice,
    part: int,
    group: tuple[Road, Sequence[Row]],
    beside: Sequence[Row],
) -> None:
    """Of those `beside` no page asks."""
    (road, rows), size = group, cloud.bounds.page_rows
    for page, first in enumerate(range(0, len(rows), size)):
        text = rows_to_text(rows[first : first + size])
        cloud.bucket.put(planned.page_key(run.keys, part, page), text)
    if not isinstance(road, Direct):
        manifest = manifest_of(cloud.bucket.name, run.scope, [*rows, *beside])
        cloud.bucket.put(planned.manifest_key(run.keys, part), manifest)


def manifest_of(bucket: str, scope: Scope, rows: Sequence[Row]) -> str:
    """Of named objects, always: a bare prefix takes every object that begins with it."""
    prefix = inputs_of(scope)
    relative = [row.key.removeprefix(prefix) for row in rows]
    return json.dumps([{"prefix": f"s3://{bucket}/{prefix}"}, *relative], ensure_ascii=False)
