"""The claim: one live run a scope, from the first planning to the report.

Created with If-None-Match, deleted by whoever finishes. A request to start that comes while the run
is open is written down in the claim; because the claim is deleted only as it was read, none is lost
between the last look and the end.
"""

import json
from dataclasses import asdict, dataclass, replace
from typing import IO

from batch.bucket import JSON, Bucket
from batch.cloud import Cloud
from domain.keys import RunKeys, claim_key, folder_file
from domain.scope import Scope

SUMMARY = "_summary.json"

ROUNDS = 8
"""Each is lost to another process that opened, marked or closed the same run in between."""


class RunClosed(Exception):
    """Another process has finished this run; what it wrote stands."""


class ContendedError(Exception):
    """The claim changed under every attempt to change it; the queue tries again later."""


@dataclass(frozen=True, slots=True)
class Run:
    """A live run. `first`: the folder has no summary yet. `again`: asked to start once more."""

    path: str
    nonce: str
    started_at: str
    first: bool
    again: bool = False

    @property
    def scope(self) -> Scope:
        return Scope(self.path)

    @property
    def keys(self) -> RunKeys:
        return RunKeys(self.scope.token, self.nonce)

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Claim:
    """A run as its claim tells it, and the claim's own ETag."""

    run: Run
    etag: str


def claim(cloud: Cloud, scope: Scope) -> Run:
    """The scope's run: the open one, which is then asked to look again, or a new one."""
    for _ in range(ROUNDS):
        found = read(cloud.bucket, scope.token)
        run = _marked(found.run) if found else _new(cloud, scope)
        if found and found.run.again:
            return run
        etag = found.etag if found else None
        if cloud.bucket.replace(claim_key(scope.token), run.to_json(), etag):
            return run
    raise ContendedError(f"the claim of {scope.path!r} changed {ROUNDS} times")


def read(bucket: Bucket, token: str) -> Claim | None:
    found = bucket.read(claim_key(token))
    return Claim(Run(**json.loads(found.body)), found.etag) if found else None


def _new(cloud: Cloud, scope: Scope) -> Run:
    return Run(
        path=scope.path,
        nonce=cloud.new_nonce(),
        started_at=cloud.now().isoformat(timespec="seconds"),
        first=not scope.is_folder or cloud.bucket.head(folder_file(scope, SUMMARY)) is None,
    )


def _marked(run: Run) -> Run:
    return replace(run, again=True)


def _own(bucket: Bucket, run: Run) -> Claim:
    found = read(bucket, run.scope.token)
    if found is None or found.run.nonce != run.nonce:
        raise RunClosed(run.nonce)
    return found


def publish(
    bucket: Bucket, run: Run, key: str, body: str | IO[bytes], content_type: str = JSON
) -> None:
    """Writes a file about the folder while the run is open; raises RunClosed where it is not.

    What stands is looked at before the claim: a later run that wrote in between has changed it.
    """
    for _ in range(ROUNDS):
        standing = bucket.head(key)
        _own(bucket, run)
        if not isinstance(body, str):
            body.seek(0)
        if bucket.replace(key, body, standing.listed.etag if standing else None, content_type):
            return
    raise ContendedError(f"{key!r} changed {ROUNDS} times")


def close(cloud: Cloud, run: Run) -> None:
    """Ends the run; a request to start that came while it was open is sent again first."""
    for _ in range(ROUNDS):
        claimed = _own(cloud.bucket, run)
        if claimed.run.again:
            cloud.look_later(run.scope)
        if cloud.bucket.delete(claim_key(run.scope.token), claimed.etag):
            return
    raise ContendedError(f"the claim of {run.path!r} changed {ROUNDS} times")
