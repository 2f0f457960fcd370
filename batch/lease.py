"""One process at a time works on a run; whoever comes meanwhile leaves word and goes.

Pages, jobs, timers and the clock all have a run looked at, often at once. Steps are harmless when
two take them, and costly: each lists, plans and reports what the other does. So a step is taken
under a lease, an object with an end. Its holder renews it while the step lasts; of a process that
died it ends by itself half a minute later, and the next that comes takes it over.
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
"""Of real time; a step that is over sooner is never renewed."""


@dataclass(frozen=True, slots=True)
class Lease:
    """`again`: somebody came meanwhile, and the run is to be looked at once more."""

    holder: str
    until: str
    again: bool = False


def acquire(context: Context, token: str) -> str | None:
    """The holder's name; None where another holds it, who then knows that somebody came."""
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
    """Whether somebody came meanwhile."""
    for _ in range(WRITE_ATTEMPTS):
        stored = context.bucket.read(lease_key(token))
        if stored is None:
            return False
        held = Lease(**json.loads(stored.body))
        if held.holder != holder:
            return False  # it ended, and another has taken it, who has looked since
        if context.bucket.delete(lease_key(token), stored.etag):
            return held.again
    raise ContendedError(f"the lease of {token!r} changed {WRITE_ATTEMPTS} times")


@contextmanager
def keep_renewed(
    context: Context, token: str, holder: str, interval_seconds: float = RENEWAL_SECONDS
) -> Iterator[None]:
    """Keeps the lease from ending, as long as the process lives."""
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
                continue  # two more may fail before it ends

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
