"""The progress of a slice, from the states of its jobs and from marker objects."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from aws.bucket import Bucket
from batch.claim import Run
from batch.context import Context
from batch.jobs import slots, transform
from batch.jobs.transform import (
    Denied,
    Ended,
    Missing,
    NoCapacity,
    Running,
    Stopped,
    TransformRequest,
)
from batch.planning.slice import PageRef, Slice, ViaEndpoint, ViaTransform, rows_from_text
from batch.unreadable import OtherObjects
from domain.errors import SortboxError
from domain.keys import RunKeys

DONE = ".jsonl"
ANSWERED = ".settled"


class PartStage(IntEnum):
    """The stages of a part, in order; the stage of a slice is that of its slowest part."""

    NO_SLOT = 0
    NO_CAPACITY = 1
    TRANSFORMING = 2
    COLLECTING = 3
    COLLECTED = 4


@dataclass(frozen=True, slots=True)
class NoSlot:
    """The stage runs as many jobs as it may; the run has a ticket for the next slot."""


class JobFailedError(SortboxError):
    """A job could not be started, or failed without an output. It says nothing about the images."""


@dataclass(frozen=True, slots=True)
class Markers:
    """The markers below a slice's progress prefix, with their times: a few more than its pages."""

    times: dict[str, datetime]

    def sent_at(self, part: int) -> datetime | None:
        return self.times.get(_sent_marker(part))

    def is_stopped(self, part: int) -> bool:
        return _stopped_marker(part) in self.times

    @property
    def done(self) -> int:
        """The number of pages that are done, of all parts."""
        return sum(name.endswith(DONE) for name in self.times)

    def missing(self, part: int, pages: int) -> list[int]:
        return [page for page in range(pages) if _done_marker(part, page) not in self.times]


def _sent_marker(part: int) -> str:
    return f"{part}-sent"


def _stopped_marker(part: int) -> str:
    return f"{part}-stopped"


def _failed_marker(part: int) -> str:
    return f"{part}-failed"


def _done_marker(part: int, page: int) -> str:
    return f"{part}-{page:04}{DONE}"


def done_key(ref: PageRef) -> str:
    """The marker of a finished page. It contains the page's answers, for the report."""
    prefix = RunKeys(ref.token, ref.nonce).progress(ref.attempt, ref.index)
    return prefix + _done_marker(ref.part, ref.page)


def failed_key(ref: PageRef) -> str:
    """The marker of a failed job. SageMaker fails a job if it fails on one of its objects.

    There is none after a failure of AWS (no capacity, an internal error): it says nothing about
    the images that were left over.
    """
    prefix = RunKeys(ref.token, ref.nonce).progress(ref.attempt, ref.index)
    return prefix + _failed_marker(ref.part)


def answered_key(ref: PageRef) -> str:
    """The finished rows of a page that is not done yet."""
    return done_key(ref).removesuffix(DONE) + ANSWERED


def read_answered(bucket: Bucket, ref: PageRef) -> dict[str, str]:
    """The report line of each finished row, by image key; '' for an image without an answer."""
    stored = bucket.read(answered_key(ref))
    lines: dict[str, str] = json.loads(stored.body) if stored else {}
    return lines


def write_answered(bucket: Bucket, ref: PageRef, lines: dict[str, str]) -> None:
    """Store the finished rows of a page (up to 500 kB).

    If two processes write at once, one write is lost, and its rows are processed again.
    """
    bucket.put(answered_key(ref), json.dumps(lines, ensure_ascii=False))


def list_markers(bucket: Bucket, run: RunKeys, planned: Slice) -> Markers:
    prefix = run.progress(planned.attempt, planned.index)
    return Markers(
        {marker.key.removeprefix(prefix): marker.last_modified for marker in bucket.walk(prefix)}
    )


def push(context: Context, run: Run, planned: Slice) -> PartStage:
    """Do what can be done for the slice now, and return its stage. Raises JobFailedError."""
    markers = list_markers(context.bucket, run.keys, planned)
    stages = [
        _push_part(context, run, planned, part, markers) for part in range(len(planned.parts))
    ]
    return min(stages, default=PartStage.COLLECTED)


def _push_part(
    context: Context, run: Run, planned: Slice, part: int, markers: Markers
) -> PartStage:
    if markers.is_stopped(part):
        return PartStage.COLLECTED
    missing = markers.missing(part, planned.parts[part].pages)
    if not missing:
        return PartStage.COLLECTED
    sent_at = markers.sent_at(part)
    if sent_at is None:
        return _push_unsent(context, run, planned, part)
    # The message of a page this late was lost, or is being retried; repeating it is harmless.
    if context.now() - sent_at > timedelta(seconds=context.limits.resend_seconds):
        _send(context, run, planned, part, missing)
    return PartStage.COLLECTING


def _push_unsent(context: Context, run: Run, planned: Slice, part: int) -> PartStage:
    job = _find_or_start_job(context, run, planned, part)
    match job:
        case NoSlot():
            return PartStage.NO_SLOT
        case NoCapacity():
            return PartStage.NO_CAPACITY
        case Missing() | Running():
            return PartStage.TRANSFORMING
        case Denied(reason):
            slots.release(context, planned.job(run.keys, context.stage, part))
            raise JobFailedError(f"a transform job could not be started: {reason}")
        case Stopped():
            context.bucket.put(_mark_key(run, planned, _stopped_marker(part)), "")
            return PartStage.COLLECTED
        case Ended(failure):
            if failure is not None and not transform.is_passing(failure):
                context.bucket.put(_mark_key(run, planned, _failed_marker(part)), failure)
            _send(context, run, planned, part, list(range(planned.parts[part].pages)))
            return PartStage.COLLECTING


def _find_or_start_job(
    context: Context, run: Run, planned: Slice, part: int
) -> transform.Job | NoSlot:
    """The state of the part's job, which is started if it does not exist and a slot is free.

    Parts that go to the endpoint have no job and count as ended.
    """
    route = planned.parts[part].route
    if isinstance(route, ViaEndpoint):
        return Ended(None)
    name = planned.job(run.keys, context.stage, part)
    job = transform.describe(context.sagemaker, name)
    if isinstance(job, Missing):
        if not slots.acquire(context, run, name):
            return NoSlot()
        request = transform_request(context, run, planned, part, route)
        return transform.start(context.sagemaker, request)
    if isinstance(job, Ended | Stopped):
        slots.call_next(context)
    if isinstance(job, Ended) and job.failure is not None:
        if transform.is_passing(job.failure) and not context.bucket.page(run.keys.output(name)):
            return Stopped()  # no capacity, or an error of AWS: repeat in the next attempt
        _check_answers(context, run, planned, part, job.failure)
    return job


def _check_answers(context: Context, run: Run, planned: Slice, part: int, failure: str) -> None:
    """Raises JobFailedError if the job itself failed, as opposed to some of its images.

    A single unreadable image can fail a whole job; the pages then find out which one. It is also
    normal that a job has no output if it has only images that an earlier attempt left over, or a
    few large images next to a job of small ones with outputs; the pages then count the failures. A
    few large images alone are tried again, with a companion image.
    """
    name = planned.job(run.keys, context.stage, part)
    written = (run.keys.output(name), *planned.outputs_beside(run.keys, context.stage, part))
    if planned.attempt > 1:
        written = (run.keys.outputs,)
    elif planned.is_alone(part):
        return
    if any(context.bucket.page(output) for output in written):
        return
    if not _has_unreadable(context, run, planned, part):
        raise JobFailedError(f"transform job {name} failed and answered nothing: {failure}")


def _has_unreadable(context: Context, run: Run, planned: Slice, part: int) -> bool:
    """Whether S3 denies an image of the part but not all. One GET of one byte an image, at most
    50,000."""
    others, at_once = OtherObjects(context.bucket), context.limits.heads_at_once
    with ThreadPoolExecutor(at_once) as threads:
        for page in range(planned.parts[part].pages):
            stored = context.bucket.read(planned.page_key(run.keys, part, page))
            keys = [row.key for row in rows_from_text(stored.body)] if stored else []
            for key, denial in zip(keys, threads.map(others.denial, keys), strict=True):
                if denial and (denial.certain or others.are_readable(key)):
                    return True
    return False


def transform_request(
    context: Context, run: Run, planned: Slice, part: int, route: ViaTransform
) -> TransformRequest:
    name = planned.job(run.keys, context.stage, part)
    return TransformRequest(
        name=name,
        manifest=f"s3://{context.bucket.name}/{planned.manifest_key(run.keys, part)}",
        output=f"s3://{context.bucket.name}/{run.keys.output(name)}",
        model=context.active_model().sagemaker_model,
        route=route,
        resources=context.resources,
    )


def _send(context: Context, run: Run, planned: Slice, part: int, pages: list[int]) -> None:
    """Send the pages, then write the marker; after a crash in between they are sent again."""
    for page in pages:
        context.send_page(planned.page(run.keys, part, page))
    marker = _mark_key(run, planned, _sent_marker(part))
    context.bucket.put(marker, json.dumps({"pages": len(pages)}))


def _mark_key(run: Run, planned: Slice, mark: str) -> str:
    return run.keys.progress(planned.attempt, planned.index) + mark
