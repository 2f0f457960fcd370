"""Leases: only one process at a time works on a run.

Pages, jobs, timers and the schedule all advance a run, often at the same time. Concurrent steps are
correct but wasteful, because each lists, plans and reports the same. So a step needs a lease, an
object with an expiry time. The holder renews it during the step; the lease of a crashed process
expires after 30 s, and the next process takes it over. A process that finds the lease taken sets
its flag `again`, and the holder then advances the run once more.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from threading import Event, Thread

from botocore.exceptions import BotoCoreError, ClientError

from batch.claim import WRITE_ATTEMPTS, ContendedError
from batch.context import Context
from domain.keys import lease_key

LEASE_SECONDS = 30
RENEWAL_SECONDS = 10
"""The interval of renewal; a shorter step does not renew its lease."""


@dataclass(frozen=True, slots=True)
class Lease:
    """`until`: ISO 8601. `again`: another process asked meanwhile, so advance the run once more."""

    holder: str
    until: str
    again: bool = False


def acquire(context: Context, token: str) -> str | None:
    """Acquire the lease; returns the holder's id, or None if another process holds it.

    In that case the holder's flag `again` is set. Raises ContendedError.
    """
    holder = context.new_nonce()
    for _ in range(WRITE_ATTEMPTS):
        stored = context.bucket.read(lease_key(token))
        held = Lease(**json.loads(stored.body)) if stored else None
        is_free = held is None or datetime.fromisoformat(held.until) <= context.now()
        if held and held.again and not is_free:
            return None
        lease = Lease(holder, _end(context)) if is_free or not held else replace(held, again=True)
        if context.bucket.replace(lease_key(token), _text(lease), stored.etag if stored else None):
            return holder if is_free else None
    raise ContendedError(f"the lease of {token!r} changed {WRITE_ATTEMPTS} times")


def release(context: Context, token: str, holder: str) -> bool:
    """Release the lease; returns whether another process asked for it meanwhile."""
    for _ in range(WRITE_ATTEMPTS):
        stored = context.bucket.read(lease_key(token))
        if stored is None:
            return False
        held = Lease(**json.loads(stored.body))
        if held.holder != holder:
            return False  # it expired, and the process that took it over advances the run
        if context.bucket.delete(lease_key(token), stored.etag):
            return held.again
    raise ContendedError(f"the lease of {token!r} changed {WRITE_ATTEMPTS} times")


@contextmanager
def keep_renewed(
    context: Context, token: str, holder: str, interval_seconds: float = RENEWAL_SECONDS
) -> Iterator[None]:
    """Renew the lease in a background thread within the context."""
    is_over = Event()

    def renew() -> None:
        while not is_over.wait(interval_seconds):
            try:
                stored = context.bucket.read(lease_key(token))
                held = Lease(**json.loads(stored.body)) if stored else None
                if not stored or not held or held.holder != holder:
                    return
                longer = replace(held, until=_end(context))
                context.bucket.replace(lease_key(token), _text(longer), stored.etag)
            except (BotoCoreError, ClientError):
                continue  # the lease expires only after three failures

    thread = Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _end(context: Context) -> str:
    return (context.now() + timedelta(seconds=LEASE_SECONDS)).isoformat()


def _text(lease: Lease) -> str:
    return json.dumps(asdict(lease))
