"""Plan a slice: walk on from the end of the previous one, and divide pending images into parts.

Several processes may plan the same slice. Each writes its pages and manifests under its own nonce,
and the first to create the slice record wins. A lifecycle rule deletes the files of the others.
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
    """Plan the slice after `previous` (None: the first one of the attempt).

    Returns the slice that was recorded first, by this process or another.
    """
    index = previous.index + 1 if previous else 0
    active = context.active_model()
    model = str(active.id) if run.kind == "renewal" else None
    jobs_only = active.mode != "instance"
    is_overdue = context.is_overdue(run.started_at, context.limits.planning_patience_seconds)
    walk = Walk(context, run.scope, model, previous.cursor if previous else "", is_overdue).run()
    rows = walk.rows if attempt == 1 else _mark_denied(context, walk.rows)
    if active.endpoint is None:
        rows = _without_archived(context, rows)
    is_quota = walk.last and not jobs_only
    groups = divide(rows, _endpoint_quota(context, run, attempt, index) if is_quota else 0)
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
        jobs_only=jobs_only,
    )
    for folder in {scope_of(row.key, context.folder_depth) for row in rows if not row.etag}:
        if folder.is_folder:
            context.look_later(folder, False)  # to remove deleted images from its table
    for part, group in enumerate(groups):
        _write_part(context, run, planned, part, group)
    if context.bucket.create(run.keys.slice(attempt, index), planned.to_json()):
        return planned
    winner = read(context.bucket, run.keys, attempt, index)
    if winner is None:
        raise LookupError(f"slice {attempt}-{index} of {run.keys.prefix} came and went")
    return winner


def _endpoint_quota(context: Context, run: Run, attempt: int, index: int) -> int:
    """The most images that go to the endpoint instead of a job: late arrivals and remaining images,
    and small folders if configured."""
    if attempt > 1 or not run.first:
        return context.endpoint_max_late
    return context.endpoint_max_first if index == 0 else 0


def _mark_denied(context: Context, rows: Sequence[Row]) -> list[Row]:
    """Mark the rows that S3 denies, with a GET of one byte for each."""
    others = OtherObjects(context.bucket)
    with ThreadPoolExecutor(context.limits.heads_at_once) as threads:
        denied = list(threads.map(lambda row: others.is_denied(row.key), rows))
    return [replace(row, denied=True) if no else row for row, no in zip(rows, denied, strict=True)]


def _without_archived(context: Context, rows: Sequence[Row]) -> list[Row]:
    """The rows, with `archived` ones either `denied` or like others: without an endpoint only a
    job answers those that can be read. One GET of one byte for each of them.
    """
    archived = [row for row in rows if row.archived]
    denied = {row.key for row in _mark_denied(context, archived) if row.denied}
    return [replace(row, archived=False, denied=row.denied or row.key in denied) for row in rows]


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
    """Which route an image takes.

    Empty objects and unusual names go to the endpoint, because what a job does with them is not
    documented. So do objects that cannot be read, because one of them can fail the whole job.
    Without an endpoint, their page rejects them.
    """
    if row.size == 0 or row.size > LARGE_IMAGES.payload_mb * MB or not fits_manifest(row.key):
        return ViaEndpoint()
    if row.denied or (row.archived and row.size <= SMALL_IMAGES.payload_mb * MB):
        return ViaEndpoint()
    return SMALL_IMAGES if row.size <= SMALL_IMAGES.payload_mb * MB else LARGE_IMAGES


def _write_part(
    context: Context, run: Run, planned: Slice, part: int, group: tuple[PartRoute, Sequence[Row]]
) -> None:
    """Write the pages and the manifest of a part.

    The companion image, if any, is in the manifest but on no page. It comes first, because another
    image may crash the container, and jobs of large images send one request at a time; and again
    last, which shows whether the job came that far.
    """
    (part_route, rows), size = group, context.limits.page_rows
    for page, first in enumerate(range(0, len(rows), size)):
        text = rows_to_text(rows[first : first + size])
        context.bucket.put(planned.page_key(run.keys, part, page), text)
    if isinstance(part_route, ViaEndpoint):
        return
    keys = [row.key for row in rows]
    if planned.has_companion(part):
        companions = run.keys.companion, run.keys.last_companion
        for key in companions:
            context.bucket.put(key, PROBE)
        keys = [companions[0], *keys, companions[1]]
    manifest = manifest_of(context.bucket.name, planned.inputs(part), keys)
    context.bucket.put(planned.manifest_key(run.keys, part), manifest)


def manifest_of(bucket: str, inputs: str, keys: Sequence[str]) -> str:
    """A manifest that lists every object: a bare prefix would include all keys that begin with it.

    `inputs` is the common prefix of `keys`.
    """
    relative = [key.removeprefix(inputs) for key in keys]
    return json.dumps([{"prefix": f"s3://{bucket}/{inputs}"}, *relative], ensure_ascii=False)
