"""The claim: one live run a scope, from the first planning to the report.

Created with If-None-Match, deleted by whoever finishes. A request to start that comes while the run
is open is written down in the claim; because the claim is deleted only as it was read, none is lost
between the last look and the end. All sweeps share one claim, so that no two cover the same images:
what the live one does not cover waits in its claim.
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
"""Each is lost to another process that opened, marked or closed the same run in between."""

MOST_QUEUED = 20
"""Sweeps that wait for the live one; beyond these a sweep of the whole inbox stands for all."""


QueuedScope = tuple[str, Kind, bool]
"""Path and kind of a sweep that was asked for, and whether a person has confirmed it."""


class RunClosedError(SortboxError):
    """Another process has finished this run; what it wrote stands."""


class ContendedError(SortboxError):
    """The claim changed under every attempt to change it; the queue tries again later."""


@dataclass(frozen=True, slots=True)
class Run:
    """A live run. `first`: the folder has no summary yet. `again`: asked to start once more.

    Of a sweep: `confirmed`, it may be as large as it is; `paused`, nothing more is planned until it
    is resumed; `waiting`, sweeps to be asked for when it ends.
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
        """A file about the run for people to read."""
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
    """A run as its claim tells it, and the claim's own ETag."""

    run: Run
    etag: str


def claim(context: Context, scope: Scope, confirmed: bool = False) -> Run:
    """The scope's run: the open one, which then knows that it was asked again, or a new one."""
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
    stored = bucket.read(claim_key(token))
    return Claim(Run.from_json(stored.body), stored.etag) if stored else None


def change(bucket: Bucket, token: str, changed: Callable[[Run], Run]) -> Run | None:
    """The live run as it is after the change; None where there is none."""
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
    # A schedule that comes round does not resume what a person has stopped; a person does.
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
    """Writes a file about the run while it is open; raises RunClosed where it is not.

    What stands is looked at before the claim: a later run that wrote in between has changed it.
    """
    for _ in range(WRITE_ATTEMPTS):
        head = bucket.head(key)
        _read_own(bucket, run)
        if bucket.replace(key, body, head.listed.etag if head else None, content_type):
            return
    raise ContendedError(f"{key!r} changed {WRITE_ATTEMPTS} times")


def close(context: Context, run: Run, again: bool = False) -> None:
    """Ends the run; what was asked for meanwhile, or is to be done `again`, is sent first."""
    for _ in range(WRITE_ATTEMPTS):
        claimed = _read_own(context.bucket, run)
        if claimed.run.again or again:
            context.look_later(run.scope, claimed.run.confirmed)
        for path, kind, confirmed in claimed.run.waiting:
            context.look_later(Scope(path, kind), confirmed)
        if context.bucket.delete(claim_key(run.scope.token), claimed.etag):
            return
    raise ContendedError(f"the claim of {run.path!r} changed {WRITE_ATTEMPTS} times")
