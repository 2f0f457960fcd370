"""`_status.json`: the state of a run, for users."""

import json
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

from aws.bucket import Bucket
from batch.claim import Run, publish
from batch.unreadable import read_if_allowed
from domain.keys import INBOX

STATUS = "_status.json"

State = Literal[
    "running",
    "waiting for other jobs",
    "waiting for capacity",
    "waiting for folders",
    "waiting for confirmation",
    "stopped",
    "given up",
    "finished",
    "failed",
]


@dataclass(frozen=True, slots=True)
class Tally:
    """The progress of a reclassification. `planned` (images) grows until `all_planned`.

    `rate` is in images a second since the start; `expected_end` is None until it can be estimated.
    """

    attempt: int
    planned: int
    answered: int
    all_planned: bool
    jobs_running: int
    rate: float
    expected_end: str | None


@dataclass(frozen=True, slots=True)
class Status:
    """The fields of `_status.json`; `reason` is a sentence for states that need one."""

    schema: int
    folder: str
    state: State
    reason: str | None
    run: str
    started_at: str
    updated_at: str


def write(
    bucket: Bucket,
    run: Run,
    state: State,
    at: str,
    reason: str | None = None,
    tally: Tally | None = None,
) -> None:
    """Write the status if it has changed. Raises RunClosedError if the run is no longer live.

    Single images have no status file.
    """
    if not (run.scope.gathers or run.scope.is_reclassification):
        return
    key = run.file(STATUS)
    stored = read_if_allowed(bucket, key)
    progress = asdict(tally) if tally else None
    if stored and _is_unchanged(json.loads(stored.body), run, state, reason, progress):
        return
    status = Status(1, INBOX + run.path, state, reason, run.nonce, run.started_at, at)
    document = asdict(status) | ({"kind": run.kind, "progress": progress} if progress else {})
    publish(bucket, run, key, json.dumps(document, ensure_ascii=False, indent=1))


def is_outdated(bucket: Bucket, run: Run, than: datetime) -> bool:
    """Whether the status file was last written before `than`."""
    head = bucket.head(run.file(STATUS))
    return head is None or head.listed.last_modified < than


def _is_unchanged(
    document: dict[str, Any],
    run: Run,
    state: State,
    reason: str | None,
    tally: dict[str, Any] | None,
) -> bool:
    current = (document["run"], document["state"], document["reason"], document.get("progress"))
    return current == (run.nonce, state, reason, tally)
