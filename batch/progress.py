"""How far a slice has come: jobs are asked, markers are listed, messages are not counted."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from batch import slots, transform
from batch.bucket import Bucket
from batch.claim import Run
from batch.cloud import Cloud
from batch.page import PageRef
from batch.slice import Direct, Slice, Transform
from batch.transform import Denied, Ended, Missing, NoCapacity, Order, Running, Stopped
from domain.keys import RunKeys

DONE = ".jsonl"


class Stage(IntEnum):
    """What a part passes through, in order; a slice is as far as its slowest part."""

    NO_SLOT = 0
    NO_CAPACITY = 1
    TRANSFORMING = 2
    COLLECTING = 3
    COLLECTED = 4


@dataclass(frozen=True, slots=True)
class NoSlot:
    """As many jobs of the stage run as may; the run stands in line for the next slot."""


class NothingAnswered(Exception):
    """A job could not start, or failed without an output: our trouble, no verdict on images."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What is written below a slice's progress prefix: at most a few more than its pages."""

    times: dict[str, datetime]

    def sent_at(self, part: int) -> datetime | None:
        return self.times.get(_sent(part))

    def is_stopped(self, part: int) -> bool:
        return _stopped(part) in self.times

    @property
    def done(self) -> int:
        """Pages of all parts."""
        return sum(name.endswith(DONE) for name in self.times)

    def missing(self, part: int, pages: int) -> list[int]:
        return [page for page in range(pages) if _done(part, page) not in self.times]


def _sent(part: int) -> str:
    return f"{part}-sent"


def _stopped(part: int) -> str:
    return f"{part}-stopped"


def _done(part: int, page: int) -> str:
    return f"{part}-{page:04}{DONE}"


def done_key(ref: PageRef) -> str:
    """The marker that a page is done; it holds the page's answers, for the report."""
    prefix = RunKeys(ref.token, ref.nonce).progress(ref.attempt, ref.index)
    return prefix + _done(ref.part, ref.page)


def marks(bucket: Bucket, run: RunKeys, planned: Slice) -> Marks:
    prefix = run.progress(planned.attempt, planned.index)
    return Marks(
        {each.key.removeprefix(prefix): each.last_modified for each in bucket.walk(prefix)}
    )


def push(cloud: Cloud, run: Run, planned: Slice) -> Stage:
    """Does what can be done for the slice now. Raises NothingAnswered."""
    seen = marks(cloud.bucket, run.keys, planned)
    stages = [_push_part(cloud, run, planned, part, seen) for part in range(len(planned.parts))]
    return min(stages, default=Stage.COLLECTED)


def _push_part(cloud: Cloud, run: Run, planned: Slice, part: int, seen: Marks) -> Stage:
    if seen.is_stopped(part):
        return Stage.COLLECTED
    missing = seen.missing(part, planned.parts[part].pages)
    if not missing:
        return Stage.COLLECTED
    sent_at = seen.sent_at(part)
    if sent_at is None:
        return _push_unsent(cloud, run, planned, part)
    # A page this late was lost, or is held up by trouble of ours; to do it twice is harmless.
    if cloud.now() - sent_at > timedelta(seconds=cloud.bounds.resend_seconds):
        _send(cloud, run, planned, part, missing)
    return Stage.COLLECTING


def _push_unsent(cloud: Cloud, run: Run, planned: Slice, part: int) -> Stage:
    job = _ask(cloud, run, planned, part)
    match job:
        case NoSlot():
            return Stage.NO_SLOT
        case NoCapacity():
            return Stage.NO_CAPACITY
        case Missing() | Running():
            return Stage.TRANSFORMING
        case Denied(reason):
            slots.give_back(cloud, planned.job(run.keys, cloud.stage, part))
            raise NothingAnswered(f"a transform job could not be started: {reason}")
        case Stopped():
            cloud.bucket.put(_mark_key(run, planned, _stopped(part)), "")
            return Stage.COLLECTED
        case Ended():
            _send(cloud, run, planned, part, list(range(planned.parts[part].pages)))
            return Stage.COLLECTING


def _ask(cloud: Cloud, run: Run, planned: Slice, part: int) -> transform.Job | NoSlot:
    """The state of the part's job, which is started where there is none; direct parts have none."""
    road = planned.parts[part].road
    if isinstance(road, Direct):
        return Ended(None)
    name = planned.job(run.keys, cloud.stage, part)
    job = transform.describe(cloud.sagemaker, name)
    if isinstance(job, Missing):
        if not slots.take(cloud, run, name):
            return NoSlot()
        order = order_of(cloud, run, planned, part, road)
        return transform.start(cloud.sagemaker, order)
    if isinstance(job, Ended | Stopped):
        slots.call_next(cloud)
    if isinstance(job, Ended) and job.failure is not None:
        _check_answers(cloud, run.keys.output(name), str(name), job.failure)
    return job


def _check_answers(cloud: Cloud, output: str, name: str, failure: str) -> None:
    if next(cloud.bucket.walk(output), None) is None:
        raise NothingAnswered(f"transform job {name} failed and answered nothing: {failure}")


def order_of(cloud: Cloud, run: Run, planned: Slice, part: int, road: Transform) -> Order:
    name = planned.job(run.keys, cloud.stage, part)
    return Order(
        name=name,
        manifest=f"s3://{cloud.bucket.name}/{planned.manifest_key(run.keys, part)}",
        output=f"s3://{cloud.bucket.name}/{run.keys.output(name)}",
        model=cloud.active_model().sagemaker_model,
        road=road,
        machines=cloud.machines,
    )


def _send(cloud: Cloud, run: Run, planned: Slice, part: int, pages: list[int]) -> None:
    """The pages, then the mark: a crash between them sends the pages once more."""
    for page in pages:
        cloud.send_page(planned.page(run.keys, part, page))
    cloud.bucket.put(_mark_key(run, planned, _sent(part)), json.dumps({"pages": len(pages)}))


def _mark_key(run: Run, planned: Slice, mark: str) -> str:
    return run.keys.progress(planned.attempt, planned.index) + mark
