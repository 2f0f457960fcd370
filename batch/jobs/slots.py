"""Limit the concurrent transform jobs of a stage, and queue the runs that wait for a slot.

A slot is an object that names the job it is used for. It is created with If-None-Match, or taken
over with If-Match from a job that has ended, so that the limit holds for concurrent processes. A
slot is not released explicitly and cannot leak: it is free when its job has ended.

A run that gets no slot writes a ticket, whose key contains its time, and renews it at every
attempt. Free slots go to the oldest tickets, and a run with many jobs queues again for each. With
10 slots an attempt costs one LIST, ten GETs and ten Describes; for a run far back in the queue, one
LIST.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from aws.bucket import Bucket, Listed
from batch.claim import Run, read
from batch.context import Context, Limits
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
"""How many of the oldest waiting runs are advanced when a job has ended."""


CLEARED = 100
"""The most expired tickets that one attempt deletes, which takes some seconds."""


@dataclass(frozen=True, slots=True)
class Slot:
    """`etag` and `job` are None for a slot that was never used. `is_free`: its job has ended."""

    key: str
    etag: str | None
    job: str | None
    is_free: bool
    is_old: bool = False


def acquire(context: Context, run: Run, job: JobName) -> bool:
    """Acquire a slot for `job`, which does not exist yet.

    Returns whether the job may be started; if not, its run has a ticket.
    """
    tickets = _line(context)
    mine = [ticket for ticket in tickets if ticket_token(ticket.key) == run.scope.token]
    ahead = [ticket for ticket in tickets if not mine or ticket.key < mine[0].key]
    slots = [] if mine and len(ahead) >= context.jobs_at_once else _slots(context)
    for slot in slots:
        if slot.job == str(job) and (not slot.is_old or _occupy(context, slot, job)):
            return True
    free = [slot for slot in slots if slot.is_free and slot.job != str(job)]
    alive = (ticket for ticket in ahead if _still_waits(context, ticket))
    first = list(islice(alive, len(free)))
    for slot in free[len(first) :]:
        if _occupy(context, slot, job):
            for ticket in mine:
                context.bucket.delete(ticket.key, ticket.etag)
            return True
    _call(context, first)
    _stand_in_line(context, run, mine)
    return False


def release(context: Context, job: JobName) -> None:
    """Free the slot of a job that SageMaker will not start, and advance the next run."""
    for slot in _slots(context):
        if slot.job == str(job) and slot.etag:
            context.bucket.delete(slot.key, slot.etag)
    call_next(context)


def call_next(context: Context) -> None:
    """Advance the runs that have waited longest, because a job has ended."""
    _call(context, waiting(context.bucket, context.now(), context.limits, CALLED))


def waiting(bucket: Bucket, now: datetime, limits: Limits, most: int | None = None) -> list[Listed]:
    """The valid tickets, oldest first, at most `most`. Expired ones are left out."""
    alive = (ticket for ticket in bucket.walk(TICKETS) if not _is_lapsed(ticket, now, limits))
    return list(islice(alive, limits.tickets if most is None else most))


def _is_lapsed(ticket: Listed, now: datetime, limits: Limits) -> bool:
    return now - ticket.last_modified > timedelta(seconds=limits.ticket_seconds)


def _line(context: Context) -> list[Listed]:
    """As `waiting`, and deletes some of the expired tickets."""
    alive: list[Listed] = []
    lapsed: list[Listed] = []
    for ticket in context.bucket.walk(TICKETS):
        (lapsed if _is_lapsed(ticket, context.now(), context.limits) else alive).append(ticket)
        if len(alive) == context.limits.tickets:
            break
    for ticket in lapsed[:CLEARED]:
        context.bucket.delete(ticket.key, ticket.etag)
    return alive


def _call(context: Context, tickets: list[Listed]) -> None:
    for ticket in tickets:
        context.advance_later(ticket_token(ticket.key))


def _still_waits(context: Context, ticket: Listed) -> bool:
    """Whether the ticket's run is live; if not, its ticket is deleted."""
    if read(context.bucket, ticket_token(ticket.key)):
        return True
    context.bucket.delete(ticket.key, ticket.etag)
    return False


def _stand_in_line(context: Context, run: Run, mine: list[Listed]) -> None:
    key = mine[0].key if mine else ticket_key(context.now(), run.scope.token)
    context.bucket.put(key, json.dumps({"run": run.nonce}))


def _slots(context: Context) -> list[Slot]:
    known = {listed.key: listed for listed in context.bucket.walk(SLOTS)}
    return [
        _look(context, slot_key(number), known.get(slot_key(number)))
        for number in range(context.jobs_at_once)
    ]


def _look(context: Context, key: str, listed: Listed | None) -> Slot:
    if listed is None:
        return Slot(key, None, None, is_free=True)
    stored = context.bucket.read(key)
    if stored is None or stored.etag != listed.etag:  # somebody has taken it just now
        return Slot(key, listed.etag, None, is_free=False)
    job = json.loads(stored.body)["job"]
    age = context.now() - listed.last_modified
    reserved = timedelta(seconds=context.limits.reserved_seconds)
    match transform.describe(context.sagemaker, JobName.parse(job)):
        case Ended() | Stopped():
            is_free = True
        case Missing():  # the process that took the slot may be about to create the job
            is_free = age > reserved
        case _:
            is_free = False
    # Renewed at half time: a process that saw its own slot has ended before another can take it.
    return Slot(key, stored.etag, job, is_free, is_old=age > reserved / 2)


def _occupy(context: Context, slot: Slot, job: JobName) -> bool:
    """Take the slot with compare-and-set. Time and nonce give each version a different ETag."""
    body = json.dumps({"job": str(job), "at": context.now().isoformat(), "by": context.new_nonce()})
    return context.bucket.replace(slot.key, body, slot.etag)
