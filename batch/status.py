"""`_status.json`: what a folder's run is doing, for people who look."""

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal

from batch.bucket import Bucket
from batch.claim import Run, publish
from domain.keys import INBOX, folder_file

STATUS = "_status.json"

State = Literal["running", "waiting for capacity", "finished", "failed"]


@dataclass(frozen=True, slots=True)
class Status:
    """`reason` is a sentence where the state needs one."""

    schema: int
    folder: str
    state: State
    reason: str | None
    run: str
    started_at: str
    updated_at: str


def write(bucket: Bucket, run: Run, state: State, at: str, reason: str | None = None) -> None:
    """Raises RunClosed where the run is no longer the folder's; a single has no such file."""
    if not run.scope.is_folder:
        return
    key = folder_file(run.scope, STATUS)
    standing = bucket.read(key)
    if standing and _is_told(json.loads(standing.body), run, state, reason):
        return
    status = Status(1, INBOX + run.path, state, reason, run.nonce, run.started_at, at)
    body = json.dumps(asdict(status), ensure_ascii=False, indent=1)
    publish(bucket, run, key, body)


def _is_told(told: dict[str, Any], run: Run, state: State, reason: str | None) -> bool:
    return (told["run"], told["state"], told["reason"]) == (run.nonce, state, reason)
