"""A sweep's own ways: it holds back for others, tells how far it is, and may be overtaken."""

from datetime import datetime, timedelta

from batch import status
from batch.claim import Run
from batch.context import Cloud
from batch.jobs.progress import Stage, marks
from batch.planning.slice import Slice
from batch.reports import outcomes
from batch.reports.changes import Changes
from batch.status import State, Tally
from domain import timestamps
from domain.keys import CLAIMS, claimed_token


def holds_back(cloud: Cloud, run: Run, newest: Slice) -> State | None:
    """Why nothing more is planned just now; what is planned already goes on to its end."""
    if not run.scope.is_sweep:
        return None
    if run.paused:
        return "stopped"
    if not run.confirmed and newest.rows >= cloud.ask_above:
        return "waiting for confirmation"
    return "waiting for folders" if _others_first(cloud, run, newest) else None


def _others_first(cloud: Cloud, run: Run, newest: Slice) -> bool:
    """While a folder's run is open: for an hour, so that a stage that never rests is swept too."""
    planned = cloud.bucket.head(run.keys.slice(newest.attempt, newest.index))
    patience = timedelta(seconds=cloud.bounds.yield_seconds)
    if planned is None or cloud.now() - planned.listed.last_modified > patience:
        return False
    tokens = (claimed_token(each.key) for each in cloud.bucket.walk(CLAIMS))
    return any(token != run.scope.token for token in tokens)


def was_overtaken(cloud: Cloud, run: Run, attempt: int) -> bool:
    """Whether another model became the active one after some slice of the last attempt was planned.

    What the earlier attempts asked of other models, the last one has found and asked again.
    """
    if run.kind != "renewal":
        return False
    active = str(cloud.active_model().id)
    return any(each.model != active for each in outcomes.slices(cloud.bucket, run, attempt))


def tell(
    cloud: Cloud, run: Run, state: State, planned: tuple[Slice, ...], stages: list[Stage]
) -> None:
    """Every page of a sweep comes by here; its numbers are written down every few seconds."""
    now = cloud.now()
    due = now - timedelta(seconds=cloud.bounds.status_seconds)
    if state == "running" and not status.is_older(cloud.bucket, run, due):
        return
    told = tally(cloud, run, planned, stages, now)
    status.write(cloud.bucket, run, state, timestamps.to_text(now), tally=told)


def final(cloud: Cloud, run: Run, attempt: int, changes: Changes) -> Tally:
    """What the report counted, in place of what the pages let guess."""
    answered = changes.images - changes.unanswered
    seconds = (cloud.now() - timestamps.parse(run.started_at)).total_seconds()
    rate = round(answered / seconds, 2) if seconds > 0 else 0.0
    return Tally(attempt, changes.images, answered, True, 0, rate, None)


def tally(
    cloud: Cloud, run: Run, planned: tuple[Slice, ...], stages: list[Stage], now: datetime
) -> Tally:
    """Counted in pages, so that nothing is read but the listings of the open slices."""
    newest = planned[-1]
    rows, done = 0, 0
    for each in planned:
        rows += sum(part.rows for part in each.parts)
        pages = marks(cloud.bucket, run.keys, each).done * cloud.bounds.page_rows
        done += min(pages, sum(part.rows for part in each.parts))
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
