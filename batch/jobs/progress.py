"""How far a slice has come: jobs are asked, markers are listed, messages are not counted."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from aws.bucket import Bucket
from batch.claim import Run
from batch.context import Cloud
from batch.jobs import slots, transform
from batch.jobs.transform import Denied, Ended, Missing, NoCapacity, Order, Running, Stopped
from batch.planning.slice import Direct, PageRef, Slice, Transform, rows_from_text
from batch.unreadable import Others
from domain.errors import SortboxError
from domain.keys import RunKeys

DONE = ".jsonl"
SETTLED = ".settled"


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


class NothingAnswered(SortboxError):
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


def _failed(part: int) -> str:
    return f"{part}-failed"


def _done(part: int, page: int) -> str:
    return f"{part}-{page:04}{DONE}"


def done_key(ref: PageRef) -> str:
    """The marker that a page is done; it holds the page's answers, for the report."""
    prefix = RunKeys(ref.token, ref.nonce).progress(ref.attempt, ref.index)
    return prefix + _done(ref.part, ref.page)


def failed_key(ref: PageRef) -> str:
    """The marker that a page's job failed, which it does where one of its objects does."""
    prefix = RunKeys(ref.token, ref.nonce).progress(ref.attempt, ref.index)
    return prefix + _failed(ref.part)


def settled_key(ref: PageRef) -> str:
    """What is settled of a page that is not done yet."""
    return done_key(ref).removesuffix(DONE) + SETTLED


def read_settled(bucket: Bucket, ref: PageRef) -> dict[str, str]:
    """The line of each row that is settled, by its image's key; empty where there is no answer."""
    found = bucket.read(settled_key(ref))
    lines: dict[str, str] = json.loads(found.body) if found else {}
    return lines


def write_settled(bucket: Bucket, ref: PageRef, lines: dict[str, str]) -> None:
    """At most a page's rows, some 500 kB. Of two who write at once one is lost, and done again."""
    bucket.put(settled_key(ref), json.dumps(lines, ensure_ascii=False))


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
        case Ended(failure):
            if failure is not None:
                cloud.bucket.put(_mark_key(run, planned, _failed(part)), failure)
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
        if transform.is_passing(job.failure) and not cloud.bucket.page(run.keys.output(name)):
            return Stopped()  # no machine, or trouble of AWS's: the attempt is lost, not the run
        _check_answers(cloud, run, planned, part, job.failure)
    return job


def _check_answers(cloud: Cloud, run: Run, planned: Slice, part: int, failure: str) -> None:
    """Raises NothingAnswered where the job is the trouble, and not one of its images.

    An image that it could not read may fail the whole job: then the pages find out which. A few
    large ones beside small ones that were answered, and what an earlier attempt left over, may be
    such that nothing can be answered: then the pages count how often. A few large ones alone are
    tried once more, beside a companion.
    """
    name = planned.job(run.keys, cloud.stage, part)
    written = (run.keys.output(name), *planned.outputs_beside(run.keys, cloud.stage, part))
    if planned.attempt > 1:
        written = (run.keys.outputs,)
    elif planned.is_alone(part):
        return
    if any(cloud.bucket.page(output) for output in written):
        return
    if not _has_unreadable(cloud, run, planned, part):
        raise NothingAnswered(f"transform job {name} failed and answered nothing: {failure}")


def _has_unreadable(cloud: Cloud, run: Run, planned: Slice, part: int) -> bool:
    """One GET of a byte an image, until one is denied, and not all are; 50,000 at most."""
    others, at_once = Others(cloud.bucket), cloud.bounds.heads_at_once
    with ThreadPoolExecutor(at_once) as threads:
        for page in range(planned.parts[part].pages):
            found = cloud.bucket.read(planned.page_key(run.keys, part, page))
            keys = [row.key for row in rows_from_text(found.body)] if found else []
            for key, denial in zip(keys, threads.map(others.denial, keys), strict=True):
                if denial and (denial.certain or others.are_read(key)):
                    return True
    return False


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
