"""What is specific to reclassifications: they yield to folders, report progress, and start again
when the active model changes."""

from datetime import datetime, timedelta

from batch import status
from batch.claim import Run
from batch.context import Context
from batch.jobs.progress import PartStage, list_markers
from batch.planning.slice import Slice
from batch.reports import outcomes
from batch.reports.changes import Changes
from batch.status import State, Tally
from domain import timestamps
from domain.keys import CLAIMS, claimed_token


def hold_reason(context: Context, run: Run, newest: Slice) -> State | None:
    """Why a reclassification plans no further slice now; None if it may. Open slices continue."""
    if not run.scope.is_reclassification:
        return None
    if run.paused:
        return "stopped"
    if not run.confirmed and newest.rows >= context.confirm_above:
        return "waiting for confirmation"
    return "waiting for folders" if _yields_to_folders(context, run, newest) else None


def _yields_to_folders(context: Context, run: Run, newest: Slice) -> bool:
    """Whether to wait because a folder's run is open, for at most `Limits.yield_seconds`.

    The limit lets a reclassification progress in a stage in which folders always run.
    """
    planned = context.bucket.head(run.keys.slice(newest.attempt, newest.index))
    patience = timedelta(seconds=context.limits.yield_seconds)
    if planned is None or context.now() - planned.listed.last_modified > patience:
        return False
    tokens = (claimed_token(claim.key) for claim in context.bucket.walk(CLAIMS))
    return any(token != run.scope.token for token in tokens)


def is_model_replaced(context: Context, run: Run, attempt: int) -> bool:
    """Whether the active model changed after a slice of the last attempt was planned.

    Earlier attempts do not matter: the last one has found the results of other models again.
    """
    if run.kind != "renewal":
        return False
    active = str(context.active_model().id)
    return any(
        planned.model != active for planned in outcomes.read_slices(context.bucket, run, attempt)
    )


def write_status(
    context: Context, run: Run, state: State, planned: tuple[Slice, ...], stages: list[PartStage]
) -> None:
    """Write the status of a reclassification, at most every `Limits.status_seconds` while it
    runs."""
    now = context.now()
    due = now - timedelta(seconds=context.limits.status_seconds)
    if state == "running" and not status.is_outdated(context.bucket, run, due):
        return
    progress = tally(context, run, planned, stages, now)
    status.write(context.bucket, run, state, timestamps.to_text(now), tally=progress)


def final_tally(context: Context, run: Run, attempt: int, changes: Changes) -> Tally:
    """The exact counts of the report, which replace the estimate of `tally`."""
    answered = changes.images - changes.unanswered
    seconds = (context.now() - timestamps.parse(run.started_at)).total_seconds()
    rate = round(answered / seconds, 2) if seconds > 0 else 0.0
    return Tally(attempt, changes.images, answered, True, 0, rate, None)


def tally(
    context: Context, run: Run, planned: tuple[Slice, ...], stages: list[PartStage], now: datetime
) -> Tally:
    """Estimate the progress by counting pages, which needs only listings of the open slices."""
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
        jobs_running=sum(stage == PartStage.TRANSFORMING for stage in stages),
        rate=round(rate, 2),
        expected_end=end,
    )
