"""A sweep's own ways: it holds back for others, tells how far it is, and may be overtaken."""

from datetime import datetime, timedelta

from batch import status
from batch.claim import Run
from batch.context import Context
from batch.jobs.progress import Stage, list_markers
from batch.planning.slice import Slice
from batch.reports import outcomes
from batch.reports.changes import Changes
from batch.status import State, Tally
from domain import timestamps
from domain.keys import CLAIMS, claimed_token


def hold_reason(context: Context, run: Run, newest: Slice) -> State | None:
    """Why nothing more is planned just now; what is planned already goes on to its end."""
    if not run.scope.is_reclassification:
        return None
    if run.paused:
        return "stopped"
    if not run.confirmed and newest.rows >= context.confirm_above:
        return "waiting for confirmation"
    return "waiting for folders" if _yields_to_folders(context, run, newest) else None


def _yields_to_folders(context: Context, run: Run, newest: Slice) -> bool:
    """While a folder's run is open: for an hour, so that a stage that never rests is swept too."""
    planned = context.bucket.head(run.keys.slice(newest.attempt, newest.index))
    patience = timedelta(seconds=context.limits.yield_seconds)
    if planned is None or context.now() - planned.listed.last_modified > patience:
        return False
    tokens = (claimed_token(claim.key) for claim in context.bucket.walk(CLAIMS))
    return any(token != run.scope.token for token in tokens)


def is_model_replaced(context: Context, run: Run, attempt: int) -> bool:
    """Whether another model became the active one after some slice of the last attempt was planned.

    What the earlier attempts asked of other models, the last one has found and asked again.
    """
    if run.kind != "renewal":
        return False
    active = str(context.active_model().id)
    return any(
        planned.model != active for planned in outcomes.read_slices(context.bucket, run, attempt)
    )


def write_status(
    context: Context, run: Run, state: State, planned: tuple[Slice, ...], stages: list[Stage]
) -> None:
    """Every page of a sweep comes by here; its numbers are written down every few seconds."""
    now = context.now()
    due = now - timedelta(seconds=context.limits.status_seconds)
    if state == "running" and not status.is_outdated(context.bucket, run, due):
        return
    progress = tally(context, run, planned, stages, now)
    status.write(context.bucket, run, state, timestamps.to_text(now), tally=progress)


def final_tally(context: Context, run: Run, attempt: int, changes: Changes) -> Tally:
    """What the report counted, in place of what the pages let guess."""
    answered = changes.images - changes.unanswered
    seconds = (context.now() - timestamps.parse(run.started_at)).total_seconds()
    rate = round(answered / seconds, 2) if seconds > 0 else 0.0
    return Tally(attempt, changes.images, answered, True, 0, rate, None)


def tally(
    context: Context, run: Run, planned: tuple[Slice, ...], stages: list[Stage], now: datetime
) -> Tally:
    """Counted in pages, so that nothing is read but the listings of the open slices."""
    newest = planned[-1]
    rows, done = 0, 0
    for part_of_run in planned:
        rows += sum(part.rows for part in part_of_run.parts)
        pages = list_markers(context.bucket, run.keys, part_of_run).done * context.limits.page_rows
        done += min(pages, sum(part.rows for part in part_of_run.parts))
    answered = newest.rows - rows + done
    seconds = (now - timestamps.parse(run.started_at)).total_seconds()
    rate = answered / seconds if seconds > 0 else 0.0
    end = None
    if newest.last and rate > 0:
        left = timedelta(seconds=(newest.rows - answered) / rate)
        end = timestamps.to_text(now + left)
    return Tally(
        attempt=newest.attempt,
        planned=newest.rows,
        answered=answered,
        all_planned=newest.last,
        jobs_running=sum(stage == Stage.TRANSFORMING for stage in stages),
        rate=round(rate, 2),
        expected_end=end,
    )
