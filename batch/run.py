"""The life of a run: `begin` it, then `advance` it step by step; a step is idempotent.

Planning walks the listing in slices and starts a transform job for each part of a slice. When a job
has ended, its pages are queued. When all pages of an attempt are done, the next attempt plans what
is still pending: objects that failed, images that changed, late arrivals. An attempt that finds
nothing ends the run.

Timers, job events, finished pages and the schedule all call `advance`, in any order, any number of
times and concurrently; this is safe because all keys and job names are derived from the run. At
most two slices are open, one being transformed while the previous one is collected, so that a step
costs a few LISTs and GETs for any folder size. A reclassification works in the same way, with a
configurable number of slices being transformed at once.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

from batch import claim, reclassify, status
from batch import closing as closings
from batch.claim import Run, RunClosedError
from batch.closing import Closing, ClosingConflictError
from batch.context import Context
from batch.jobs.progress import JobFailedError, PartStage, push
from batch.planning import slice
from batch.planning.plan import plan
from batch.planning.slice import Slice
from batch.reports import change_report, folder_report, notice, outcomes
from batch.reports.changes import Changes
from batch.reports.folder_report import Counts, Unfinished
from batch.status import State
from domain import timestamps
from domain.scope import RECLASSIFICATION, Scope

STATE_OF_STAGE: dict[PartStage, State] = {
    PartStage.NO_SLOT: "waiting for other jobs",
    PartStage.NO_CAPACITY: "waiting for capacity",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """The run waits for SageMaker, for pages, for other runs, or for the next scheduled tick."""

    stage: PartStage | None


@dataclass(frozen=True, slots=True)
class Finished:
    """Every image of the scope has a result. `is_notified`: no notice was given up."""

    counts: Counts | Changes
    is_notified: bool = True


@dataclass(frozen=True, slots=True)
class Failed:
    """Some images have no result for reasons other than the images. A new run tries again."""

    reason: str
    is_notified: bool = True


@dataclass(frozen=True, slots=True)
class Closed:
    """Another process has closed this run."""


Progress = Waiting | Finished | Failed | Closed


def begin(context: Context, scope: Scope, confirmed: bool = False) -> Run:
    """Begin a run of the scope, or record the request in the run that is live already.

    Only one reclassification is live. If it covers the scope, it is returned.
    """
    return claim.claim(context, scope, confirmed)


def find(context: Context, token: str) -> Run | None:
    """The live run of the scope with this token; None if there is none."""
    current = claim.read(context.bucket, token)
    return current.run if current else None


def advance(context: Context, run: Run) -> Progress:
    """Do what can be done for the run now. Raises errors of AWS; the caller retries."""
    try:
        return _advance(context, run)
    except RunClosedError:
        return Closed()
    except ClosingConflictError:
        return Waiting(None)


def _advance(context: Context, run: Run) -> Progress:
    try:
        return _step(context, run)
    except JobFailedError as error:
        return _end(context, run, Closing(attempt=0, reason=str(error)))


def _step(context: Context, run: Run) -> Progress:
    """Advance the open slices and plan further ones, for a few minutes at most.

    A folder of millions continues with the next scheduled tick. A message to the own queue would be
    faster, but Lambda's recursion detection stops such a loop after 16 hops.
    """
    closing = closings.read(context.bucket, run) or _too_old(context, run)
    if closing:
        return _end(context, run, closing)
    until = context.now() + timedelta(seconds=context.limits.planning_seconds)
    jobs = context.reclassify_jobs if run.scope.is_reclassification else 1
    planned = slice.latest(context.bucket, run.keys, jobs + 1) or (_plan_first(context, run),)
    for further in count():
        stages = [push(context, run, one) for one in planned]
        newest = planned[-1]
        if not _is_time_for_more(newest, stages, jobs):
            return _wait(context, run, planned, stages)
        if newest.last and (newest.rows == 0 or _is_last_attempt(context, newest)):
            counted = 0 if newest.rows else None  # an attempt without rows left nothing unanswered
            return _end(context, run, Closing(newest.attempt, counted=counted))
        held = reclassify.hold_reason(context, run, newest)
        if held:
            return _wait(context, run, planned, stages, held)
        if further and context.now() > until:
            break  # after at least one slice an invocation
        planned = _plan_next(context, run, planned)[-(jobs + 1) :]
    return Waiting(None)


def _too_old(context: Context, run: Run) -> Closing | None:
    """Fail a run before its files expire; the next run does what remains. None if it is younger."""
    days = context.limits.oldest_run_days
    if context.now() - timestamps.parse(run.started_at) < timedelta(days=days):
        return None
    return Closing(attempt=0, reason=f"not finished within {days} days; it begins again")


def _is_time_for_more(newest: Slice, stages: list[PartStage], jobs: int) -> bool:
    """Whether to plan the next slice, or the next attempt after the last slice of one.

    A slice follows when fewer than `jobs` slices are being transformed, an attempt when all slices
    are collected. `stages` has up to `jobs` + 1 slices, and the oldest of those must be collected.
    """
    if newest.last:
        return min(stages) == PartStage.COLLECTED
    return min(stages[:-jobs], default=PartStage.COLLECTED) == PartStage.COLLECTED and (
        sum(stage < PartStage.COLLECTING for stage in stages) < jobs
    )


def _is_last_attempt(context: Context, newest: Slice) -> bool:
    """Whether no attempt follows. Jobs with a companion image get one more: for a few large images
    alone, the first job is no evidence."""
    has_companion = any(map(newest.has_companion, range(len(newest.parts))))
    limits = context.limits
    return newest.attempt >= (limits.most_attempts if has_companion else limits.attempts)


def _plan_first(context: Context, run: Run) -> Slice:
    _write_status(context, run, "running")
    return plan(context, run, attempt=1, previous=None)


def _plan_next(context: Context, run: Run, planned: tuple[Slice, ...]) -> tuple[Slice, ...]:
    newest = planned[-1]
    if newest.last:
        return (plan(context, run, newest.attempt + 1, previous=None),)
    return *planned, plan(context, run, newest.attempt, previous=newest)


def _wait(
    context: Context,
    run: Run,
    planned: tuple[Slice, ...],
    stages: list[PartStage],
    held: State | None = None,
) -> Waiting:
    state = held or STATE_OF_STAGE.get(min(stages), "running")
    if run.scope.is_reclassification:
        reclassify.write_status(context, run, state, planned, stages)
    else:
        _write_status(context, run, state)
    return Waiting(min(stages))


def _end(context: Context, run: Run, closing: Closing) -> Progress:
    """Close the run: count unanswered images, write the report, give notice, delete the claim.

    A failed run is reported too. Returns Waiting if the time of this invocation is not enough.
    """
    until = context.now() + timedelta(seconds=context.limits.report_seconds)
    closing = _count_left(context, run, closing, until)
    if closing.counted is not None:
        closings.write(context.bucket, run, closing)
        return Waiting(None)
    if closing.left and closing.reason is None:
        reason = f"no answer after {closing.attempt} attempts: {closing.left} images"
        closing = replace(closing, attempt=0, reason=reason)
    counts = _report(context, run, closing, until)
    if isinstance(counts, Unfinished):
        closings.write(context.bucket, run, replace(closing, place=counts.place))
        return Waiting(None)
    is_due = notice.is_due(run, closing, counts)
    is_notified = notice.give(context, run, closing, counts) if is_due else True
    _close(context, run, closing)
    if closing.reason is None:
        return Finished(counts, is_notified)
    return Failed(closing.reason, is_notified)


def _count_left(context: Context, run: Run, closing: Closing, until: datetime) -> Closing:
    """Count the unanswered images of the last attempt's slices until the time `until`; at least one
    slice is counted."""
    if closing.counted is None:
        return closing
    bucket, left = context.bucket, closing.left
    for planned in outcomes.read_slices(bucket, run, closing.attempt, closing.counted):
        left += outcomes.count_unanswered(bucket, run, planned, context.limits.heads_at_once)
        if context.now() > until:
            return replace(closing, left=left, counted=planned.index + 1)
    return replace(closing, left=left, counted=None)


def _report(
    context: Context, run: Run, closing: Closing, until: datetime
) -> Counts | Changes | Unfinished:
    """Write the report, and after it the final status."""
    state: State = "finished" if closing.reason is None else "failed"
    if not run.scope.is_reclassification:
        counts = folder_report.write(context, run, closing.place, until)
        if not isinstance(counts, Unfinished):
            _write_status(context, run, state, closing.reason)
        return counts
    changes = change_report.write(context, run, closing.place, until)
    if not isinstance(changes, Unfinished):
        tally = reclassify.final_tally(
            context, run, closing.attempt or context.limits.attempts, changes
        )
        status.write(context.bucket, run, state, _now(context), closing.reason, tally)
    return changes


def _close(context: Context, run: Run, closing: Closing) -> None:
    """Delete the claim, and advance a reclassification that has been waiting for this folder.

    A run that was ended for its age is begun again, except for a paused reclassification.
    """
    is_old = _too_old(context, run) is not None and not run.paused
    again = is_old or reclassify.is_model_replaced(context, run, closing.attempt)
    claim.close(context, run, again=again)
    if not run.scope.is_reclassification and find(context, RECLASSIFICATION):
        context.advance_later(RECLASSIFICATION)


def _write_status(context: Context, run: Run, state: State, reason: str | None = None) -> None:
    status.write(context.bucket, run, state, _now(context), reason)


def _now(context: Context) -> str:
    return timestamps.to_text(context.now())
