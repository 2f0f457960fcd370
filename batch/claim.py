"""Claims: at most one live run per scope, from the first planning to the report.

A claim is an object, created with If-None-Match and deleted when the run ends. A request to start a
run that is open already is recorded in the claim. The claim is deleted only with the ETag that was
read, so that no request is lost in between. All reclassifications share one claim, so that no two
answer the same images; requests that the live one does not cover wait in its claim.
"""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from aws.bucket import JSON, Bucket, Pieces
from batch.context import Context
from domain import timestamps
from domain.errors import SortboxError
from domain.keys import RunKeys, claim_key, folder_file, reclassification_file
from domain.scope import Kind, Scope

SUMMARY = "_summary.json"

WRITE_ATTEMPTS = 8
"""The most attempts of a conditional write, each lost to another process."""

MOST_QUEUED = 20
"""The most reclassifications that wait for the live one; more are merged into one of the whole
inbox."""


QueuedScope = tuple[str, Kind, bool]
"""A requested reclassification: its path, its kind, and whether a user has confirmed its cost."""


class RunClosedError(SortboxError):
    """Another process has finished this run. Its files must not be overwritten."""


class ContendedError(SortboxError):
    """Other processes changed the object during every attempt to write it; SQS retries later."""


@dataclass(frozen=True, slots=True)
class Run:
    """A live run. `first`: the folder has no summary yet. `again`: another start was requested.

    For a reclassification: `confirmed`, a user has accepted its cost; `paused`, no more slices are
    planned until it is resumed; `waiting`, reclassifications to start when this one ends.
    """

    path: str
    nonce: str
    started_at: str
    first: bool
    again: bool = False
    kind: Kind = "uploads"
    confirmed: bool = False
    paused: bool = False
    waiting: tuple[QueuedScope, ...] = ()

    @property
    def scope(self) -> Scope:
        return Scope(self.path, self.kind)

    @property
    def keys(self) -> RunKeys:
        return RunKeys(self.scope.token, self.nonce)

    def file(self, name: str) -> str:
        """The key of a report file in the outbox."""
        if self.scope.is_reclassification:
            return reclassification_file(self.started_at, self.nonce, name)
        return folder_file(self.scope, name)

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: bytes) -> "Run":
        fields = json.loads(text)
        waiting = tuple((path, kind, sure) for path, kind, sure in fields.pop("waiting", ()))
        return cls(waiting=waiting, **fields)


@dataclass(frozen=True, slots=True)
class Claim:
    """The run that a claim records, and the claim's ETag."""

    run: Run
    etag: str


def claim(context: Context, scope: Scope, confirmed: bool = False) -> Run:
    """The scope's live run: the open one, in which the request is recorded, or a new one.

    Raises ContendedError.
    """
    for _ in range(WRITE_ATTEMPTS):
        current = read(context.bucket, scope.token)
        run = (
            _merge_request(current.run, scope, confirmed)
            if current
            else _new_run(context, scope, confirmed)
        )
        if current and run == current.run:
            return run
        etag = current.etag if current else None
        if context.bucket.replace(claim_key(scope.token), run.to_json(), etag):
            return run
    raise ContendedError(f"the claim of {scope.path!r} changed {WRITE_ATTEMPTS} times")


def read(bucket: Bucket, token: str) -> Claim | None:
    """The claim of the scope with this token; None if it has no live run."""
    stored = bucket.read(claim_key(token))
    return Claim(Run.from_json(stored.body), stored.etag) if stored else None


def change(bucket: Bucket, token: str, changed: Callable[[Run], Run]) -> Run | None:
    """Change the live run with compare-and-set; returns the changed run, None if there is none.

    Raises ContendedError.
    """
    for _ in range(WRITE_ATTEMPTS):
        current = read(bucket, token)
        if current is None:
            return None
        run = changed(current.run)
        if bucket.replace(claim_key(token), run.to_json(), current.etag):
            return run
    raise ContendedError(f"the claim {token!r} changed {WRITE_ATTEMPTS} times")


def _new_run(context: Context, scope: Scope, confirmed: bool) -> Run:
    is_single = not (scope.is_folder or scope.is_reclassification)
    return Run(
        path=scope.path,
        nonce=context.new_nonce(),
        started_at=timestamps.to_text(context.now()),
        first=is_single
        or (scope.is_folder and context.bucket.head(folder_file(scope, SUMMARY)) is None),
        kind=scope.kind,
        confirmed=confirmed,
    )


def _merge_request(run: Run, scope: Scope, confirmed: bool) -> Run:
    if not scope.is_reclassification:
        return replace(run, again=True)
    # Only a user's request, which is confirmed, resumes a paused run; a schedule's does not.
    run = replace(run, paused=run.paused and not confirmed)
    if run.scope.covers(scope):
        return replace(run, confirmed=run.confirmed or confirmed)
    return replace(run, waiting=_enqueue(run.waiting, scope, confirmed))


def _enqueue(
    waiting: tuple[QueuedScope, ...], scope: Scope, confirmed: bool
) -> tuple[QueuedScope, ...]:
    covering = [Scope(path, kind).covers(scope) for path, kind, _ in waiting]
    if any(covering):
        return tuple(
            (path, kind, sure or (covers and confirmed))
            for (path, kind, sure), covers in zip(waiting, covering, strict=True)
        )
    if len(waiting) >= MOST_QUEUED:
        return (("", "renewal", confirmed or any(sure for _, _, sure in waiting)),)
    return (*waiting, (scope.path, scope.kind, confirmed))


def _read_own(bucket: Bucket, run: Run) -> Claim:
    current = read(bucket, run.scope.token)
    if current is None or current.run.nonce != run.nonce:
        raise RunClosedError(run.nonce)
    return current


def publish(
    bucket: Bucket, run: Run, key: str, body: str | Pieces, content_type: str = JSON
) -> None:
    """Write a report file of the run. Raises RunClosedError if the run is no longer live.

    The file's ETag is read before the claim. If a later run writes in between, the ETag no longer
    matches.
    """
    for _ in range(WRITE_ATTEMPTS):
        head = bucket.head(key)
        _read_own(bucket, run)
        if bucket.replace(key, body, head.listed.etag if head else None, content_type):
            return
    raise ContendedError(f"{key!r} changed {WRITE_ATTEMPTS} times")


def close(context: Context, run: Run, again: bool = False) -> None:
    """End the run: queue the requests recorded in its claim, then delete the claim.

    With `again` the scope is queued once more in any case. Raises RunClosedError, ContendedError.
    """
    for _ in range(WRITE_ATTEMPTS):
        claimed = _read_own(context.bucket, run)
        if claimed.run.again or again:
            context.look_later(run.scope, claimed.run.confirmed)
        for path, kind, confirmed in claimed.run.waiting:
            context.look_later(Scope(path, kind), confirmed)
        if context.bucket.delete(claim_key(run.scope.token), claimed.etag):
            return
    raise ContendedError(f"the claim of {run.path!r} changed {WRITE_ATTEMPTS} times")
