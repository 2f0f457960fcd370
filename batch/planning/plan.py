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
from batch.context import Context
from batch.jobs.collect import output_order
from batch.planning.slice import (
    LARGE_IMAGES,
    MB,
    SMALL_IMAGES,
    Part,
    PartRoute,
    Row,
    Slice,
    ViaEndpoint,
    read,
    rows_to_text,
)
from batch.planning.walk import Walk, scope_of
from batch.unreadable import OtherObjects
from domain.keys import fits_manifest
from domain.reply import PROBE


def plan(context: Context, run: Run, attempt: int, previous: Slice | None) -> Slice:
    """The slice after `previous` (None: the attempt's first), whoever planned it first."""
    index = previous.index + 1 if previous else 0
    model = str(context.active_model().id) if run.kind == "renewal" else None
    is_overdue = context.is_overdue(run.started_at, context.limits.planning_patience_seconds)
    walk = Walk(context, run.scope, model, previous.cursor if previous else "", is_overdue).run()
    rows = walk.rows if attempt == 1 else _mark_denied(context, walk.rows)
    groups = divide(rows, _endpoint_quota(context, run, attempt, index) if walk.last else 0)
    planned = Slice(
        path=run.path,
        attempt=attempt,
        index=index,
        planner=context.new_nonce(),
        after=walk.after,
        cursor=walk.cursor,
        last=walk.last,
        ignored=walk.ignored,
        rows=len(walk.rows) + (previous.rows if previous else 0),
        parts=tuple(
            Part(part_route, len(rows), -(-len(rows) // context.limits.page_rows))
            for part_route, rows in groups
        ),
        kind=run.kind,
        model=model,
    )
    for folder in {scope_of(row.key, context.folder_depth) for row in rows if not row.etag}:
        if folder.is_folder:
            context.look_later(folder, False)  # its table is to forget what is gone
    for part, group in enumerate(groups):
        _write_part(context, run, planned, part, group)
    if context.bucket.create(run.keys.slice(attempt, index), planned.to_json()):
        return planned
    winner = read(context.bucket, run.keys, attempt, index)
    if winner is None:
        raise LookupError(f"slice {attempt}-{index} of {run.keys.prefix} came and went")
    return winner


def _endpoint_quota(context: Context, run: Run, attempt: int, index: int) -> int:
    """So many images do without a job: late arrivals and left-overs, and small folders if set."""
    if attempt > 1 or not run.first:
        return context.endpoint_max_late
    return context.endpoint_max_first if index == 0 else 0


def _mark_denied(context: Context, rows: Sequence[Row]) -> list[Row]:
    """What an attempt left over, with a note on those that cannot be read: a GET of a byte each."""
    others = OtherObjects(context.bucket)
    with ThreadPoolExecutor(context.limits.heads_at_once) as threads:
        denied = list(threads.map(lambda row: others.is_denied(row.key), rows))
    return [replace(row, denied=True) if no else row for row, no in zip(rows, denied, strict=True)]


def divide(rows: Sequence[Row], endpoint_max: int) -> list[tuple[PartRoute, list[Row]]]:
    """Group rows by route; up to `endpoint_max` small images go to the endpoint, not to a job."""
    routes: dict[PartRoute, list[Row]] = {SMALL_IMAGES: [], LARGE_IMAGES: [], ViaEndpoint(): []}
    for row in rows:
        routes[route_of(row)].append(row)
    if len(routes[SMALL_IMAGES]) <= endpoint_max:
        routes[ViaEndpoint()] += routes.pop(SMALL_IMAGES)
    return [
        (part_route, sorted(rows, key=output_order)) for part_route, rows in routes.items() if rows
    ]


def route_of(row: Row) -> PartRoute:
    """Empty objects and odd names go direct: what a job does with them is documented nowhere.

    So do objects that a job would read in vain: one of them may fail it for all the others.
    """
    if row.size == 0 or row.size > LARGE_IMAGES.payload_mb * MB or not fits_manifest(row.key):
        return ViaEndpoint()
    if row.denied or (row.archived and row.size <= SMALL_IMAGES.payload_mb * MB):
        return ViaEndpoint()
    return SMALL_IMAGES if row.size <= SMALL_IMAGES.payload_mb * MB else LARGE_IMAGES


def _write_part(
    context: Context, run: Run, planned: Slice, part: int, group: tuple[PartRoute, Sequence[Row]]
) -> None:
    """The companion is in the manifest and on no page. It is first: an image may end a container.

    A job of large images has one request at a time.
    """
    (part_route, rows), size = group, context.limits.page_rows
    for page, first in enumerate(range(0, len(rows), size)):
        text = rows_to_text(rows[first : first + size])
        context.bucket.put(planned.page_key(run.keys, part, page), text)
    if isinstance(part_route, ViaEndpoint):
        return
    keys = [row.key for row in rows]
    if planned.has_companion(part):
        context.bucket.put(run.keys.companion, PROBE)
        keys.insert(0, run.keys.companion)
    manifest = manifest_of(context.bucket.name, planned.inputs(part), keys)
    context.bucket.put(planned.manifest_key(run.keys, part), manifest)


def manifest_of(bucket: str, inputs: str, keys: Sequence[str]) -> str:
    """Of named objects, always: a bare prefix takes every object that begins with it."""
    relative = [key.removeprefix(inputs) for key in keys]
    return json.dumps([{"prefix": f"s3://{bucket}/{inputs}"}, *relative], ensure_ascii=False)
