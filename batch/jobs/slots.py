"""The stage's bound on transform jobs at once, and the line of runs that wait for one of them.

A slot is an object that names the job it was taken for. It is created with If-None-Match, or taken
over with If-Match from a job that is over: so the bound holds however many processes ask at the
same time. A slot need not be given back, and none leaks: one whose job has ended is free.

A run that finds no slot leaves a ticket, whose key is its time, and renews it each time it asks.
Free slots go to the oldest tickets, so that whoever waits is served after those who came before,
and a run with many jobs goes to the end of the line after each. With 10 slots an attempt to take
one costs a LIST, ten GETs and ten Describes; for a run far back in the line it is one LIST.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from aws.bucket import Bucket, Listed
from batch.claim import Run, read
from batch.context import Bounds, Cloud
from batch.jobs import transform
from batch.jobs.transform import Ended, Missing, Stopped
from domain.keys import (
    SLOTS,
    TICKETS,
    JobName,
    slot_key,
    ticket_key,
    ticket_token,
)

CALLED = 2
"""Runs at the head of the line that are told when a job has ended."""


CLEARED = 100
"""Lapsed tickets that one who asks for a slot takes away: some seconds."""


@dataclass(frozen=True, slots=True)
class Slot:
    """`etag` and `job` are None where no job has ever had it. `is_free`: its job is over."""

    key: str
    etag: str | None
    job: str | None
    is_free: bool
    is_old: bool = False


def take(cloud: Cloud, run: Run, job: JobName) -> bool:
    """Whether `job`, which does not exist yet, may be started now; if not, its run is in line."""
    tickets = _line(cloud)
    mine = [each for each in tickets if ticket_token(each.key) == run.scope.token]
    ahead = [each for each in tickets if not mine or each.key < mine[0].key]
    slots = [] if mine and len(ahead) >= cloud.jobs_at_once else _slots(cloud)
    for slot in slots:
        if slot.job == str(job) and (not slot.is_old or _occupy(cloud, slot, job)):
            return True
    free = [slot for slot in slots if slot.is_free and slot.job != str(job)]
    alive = (each for each in ahead if _still_waits(cloud, each))
    first = list(islice(alive, len(free)))
    for slot in free[len(first) :]:
        if _occupy(cloud, slot, job):
            for ticket in mine:
                cloud.bucket.delete(ticket.key, ticket.etag)
            return True
    _call(cloud, first)
    _stand_in_line(cloud, run, mine)
    return False


def give_back(cloud: Cloud, job: JobName) -> None:
    """Frees the slot of a job that SageMaker will never start, and calls the next run."""
    for slot in _slots(cloud):
        if slot.job == str(job) and slot.etag:
            cloud.bucket.delete(slot.key, slot.etag)
    call_next(cloud)


def call_next(cloud: Cloud) -> None:
    """Has the runs at the head of the line ask again: a job has ended."""
    _call(cloud, waiting(cloud.bucket, cloud.now(), cloud.bounds, CALLED))


def waiting(bucket: Bucket, now: datetime, bounds: Bounds, most: int | None = None) -> list[Listed]:
    """The tickets of runs that wait for a slot, oldest first.

    Without those of runs that have not come by for long: such a run may never come.
    """
    alive = (each for each in bucket.walk(TICKETS) if not _is_lapsed(each, now, bounds))
    return list(islice(alive, bounds.tickets if most is None else most))


def _is_lapsed(ticket: Listed, now: datetime, bounds: Bounds) -> bool:
    return now - ticket.last_modified > timedelta(seconds=bounds.ticket_seconds)


def _line(cloud: Cloud) -> list[Listed]:
    """As `waiting`; takes away some tickets that have lapsed, which the line is read past."""
    alive: list[Listed] = []
    lapsed: list[Listed] = []
    for ticket in cloud.bucket.walk(TICKETS):
        (lapsed if _is_lapsed(ticket, cloud.now(), cloud.bounds) else alive).append(ticket)
        if len(alive) == cloud.bounds.tickets:
            break
    for ticket in lapsed[:CLEARED]:
        cloud.bucket.delete(ticket.key, ticket.etag)
    return alive


def _call(cloud: Cloud, tickets: list[Listed]) -> None:
    for ticket in tickets:
        cloud.go_on(ticket_token(ticket.key))


def _still_waits(cloud: Cloud, ticket: Listed) -> bool:
    """A run that ended in another way than by a job has left its ticket: it is taken away."""
    if read(cloud.bucket, ticket_token(ticket.key)):
        return True
    cloud.bucket.delete(ticket.key, ticket.etag)
    return False


def _stand_in_line(cloud: Cloud, run: Run, mine: list[Listed]) -> None:
    key = mine[0].key if mine else ticket_key(cloud.now(), run.scope.token)
    cloud.bucket.put(key, json.dumps({"run": run.nonce}))


def _slots(cloud: Cloud) -> list[Slot]:
    known = {each.key: each for each in cloud.bucket.walk(SLOTS)}
    return [
        _look(cloud, slot_key(number), known.get(slot_key(number)))
        for number in range(cloud.jobs_at_once)
    ]


def _look(cloud: Cloud, key: str, listed: Listed | None) -> Slot:
    if listed is None:
        return Slot(key, None, None, is_free=True)
    found = cloud.bucket.read(key)
    if found is None or found.etag != listed.etag:  # somebody has taken it just now
        return Slot(key, listed.etag, None, is_free=False)
    job = json.loads(found.body)["job"]
    age = cloud.now() - listed.last_modified
    reserved = timedelta(seconds=cloud.bounds.reserved_seconds)
    match transform.describe(cloud.sagemaker, JobName.parse(job)):
        case Ended() | Stopped():
            is_free = True
        case Missing():  # taken, and whoever took it may be about to create the job
            is_free = age > reserved
        case _:
            is_free = False
    # Refreshed in time: a process that saw its own slot is dead before another may take it.
    return Slot(key, found.etag, job, is_free, is_old=age > reserved / 2)


def _occupy(cloud: Cloud, slot: Slot, job: JobName) -> bool:
    """The time makes each taking another object, so that If-Match tells them apart."""
    body = json.dumps({"job": str(job), "at": cloud.now().isoformat(), "by": cloud.new_nonce()})
    return cloud.bucket.replace(slot.key, body, slot.etag)
