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

from batch.claim import ROUNDS, ContendedError
from batch.context import Cloud
from domain.keys import lease_key

SECONDS = 30
RENEWED_SECONDS = 10
"""Of real time; a step that is over sooner is never renewed."""


@dataclass(frozen=True, slots=True)
class Lease:
    """`again`: somebody came meanwhile, and the run is to be looked at once more."""

    holder: str
    until: str
    again: bool = False


def take(cloud: Cloud, token: str) -> str | None:
    """The holder's name; None where another holds it, who then knows that somebody came."""
    holder = cloud.new_nonce()
    for _ in range(ROUNDS):
        found = cloud.bucket.read(lease_key(token))
        held = Lease(**json.loads(found.body)) if found else None
        is_free = held is None or datetime.fromisoformat(held.until) <= cloud.now()
        if held and held.again and not is_free:
            return None
        lease = Lease(holder, _end(cloud)) if is_free or not held else replace(held, again=True)
        if cloud.bucket.replace(lease_key(token), _text(lease), found.etag if found else None):
            return holder if is_free else None
    raise ContendedError(f"the lease of {token!r} changed {ROUNDS} times")


def give_back(cloud: Cloud, token: str, holder: str) -> bool:
    """Whether somebody came meanwhile."""
    for _ in range(ROUNDS):
        found = cloud.bucket.read(lease_key(token))
        if found is None:
            return False
        held = Lease(**json.loads(found.body))
        if held.holder != holder:
            return False  # it ended, and another has taken it, who has looked since
        if cloud.bucket.delete(lease_key(token), found.etag):
            return held.again
    raise ContendedError(f"the lease of {token!r} changed {ROUNDS} times")


@contextmanager
def renewed(
    cloud: Cloud, token: str, holder: str, every: float = RENEWED_SECONDS
) -> Iterator[None]:
    """Keeps the lease from ending, as long as the process lives."""
    is_over = Event()

    def renew() -> None:
        while not is_over.wait(every):
            try:
                found = cloud.bucket.read(lease_key(token))
                held = Lease(**json.loads(found.body)) if found else None
                if not found or not held or held.holder != holder:
                    return
                longer = replace(held, until=_end(cloud))
                cloud.bucket.replace(lease_key(token), _text(longer), found.etag)
            except (BotoCoreError, ClientError):
                continue  # two more may fail before it ends

    thread = Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def _end(cloud: Cloud) -> str:
    return (cloud.now() + timedelta(seconds=SECONDS)).isoformat()


def _text(lease: Lease) -> str:
    return json.dumps(asdict(lease))
