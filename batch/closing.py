"""How far the end of a run has come, so that the next invocation goes on where this one stopped.

A run's end reads every answer of the run: minutes for a million images, more than an invocation has
for ten. So it is done in turns of `Bounds.report_seconds`. What one turn leaves is one object below
the run's prefix, replaced only as it was read: of two processes that write it, one is too late, and
what it did is done again by nobody.
"""

import json
from dataclasses import dataclass, fields, replace
from typing import Any

from aws.bucket import Bucket
from batch.claim import Run


class ClosingConflictError(Exception):
    """Another process has gone on with the end of this run."""


@dataclass(frozen=True, slots=True)
class Closing:
    """`attempt`: the last one, 0 where the run was broken off. `reason`: why it fails, if it does.

    `left`: images without an answer in the first `counted` slices of the attempt; None: in all of
    them. `place`: where the report goes on; None: at its beginning.
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
    """Raises Overtaken where it is not as `closing.etag` says (None: absent)."""
    document = {item.name: getattr(closing, item.name) for item in fields(closing)}
    del document["etag"]
    if not bucket.replace(run.keys.closing, json.dumps(document, ensure_ascii=False), closing.etag):
        raise ClosingConflictError(run.nonce)
