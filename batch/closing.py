"""The state of closing a run, so that the next invocation continues where this one stopped.

Closing a run reads every result of the run, which takes minutes for a million images and exceeds an
invocation for ten million. It therefore works in turns of `Limits.report_seconds`. Each turn stores
its position in one object below the run's prefix, with compare-and-set: if two processes work on
the same turn, only one of them can store its position.
"""

import json
from dataclasses import dataclass, fields, replace
from typing import Any

from aws.bucket import Bucket
from batch.claim import Run


class ClosingConflictError(Exception):
    """Another process has continued to close this run."""


@dataclass(frozen=True, slots=True)
class Closing:
    """The position. `attempt`: the last one, 0 if the run was aborted. `reason`: why it failed.

    `left`: the images without a result in the first `counted` slices of the attempt (None: in all).
    `place`: the position within the report (None: its beginning).
    """

    attempt: int
    reason: str | None = None
    left: int = 0
    counted: int | None = None
    place: dict[str, Any] | None = None
    etag: str | None = None


def read(bucket: Bucket, run: Run) -> Closing | None:
    stored = bucket.read(run.keys.closing)
    return replace(Closing(**json.loads(stored.body)), etag=stored.etag) if stored else None


def write(bucket: Bucket, run: Run, closing: Closing) -> None:
    """Raises ClosingConflictError if the object no longer has `closing.etag` (None: is absent)."""
    document = {item.name: getattr(closing, item.name) for item in fields(closing)}
    del document["etag"]
    if not bucket.replace(run.keys.closing, json.dumps(document, ensure_ascii=False), closing.etag):
        raise ClosingConflictError(run.nonce)
