"""What can be found out about reclassifications: the live one's progress, the last one's report."""

import json
from collections import deque
from collections.abc import Iterator
from typing import Any

from aws.bucket import Bucket
from batch import claim
from batch.claim import Run
from batch.reports.change_report import PAGE
from batch.status import STATUS
from domain.keys import INBOX, SWEEPS
from domain.scope import SWEEP
from infra.diagnostics.findings import Finding

KINDS = {"renewal": "reclassification", "unanswered": "search for unanswered images"}


def of_sweeps(bucket: Bucket) -> Iterator[Finding]:
    """Nothing where there has never been one. Lists what sweeps left: some four keys each."""
    found = claim.read(bucket, SWEEP)
    if found is not None:
        yield _of_live(bucket, found.run)
    reports = (each.key for each in bucket.walk(SWEEPS) if each.key.endswith(PAGE))
    for last in deque(reports, maxlen=1):
        yield Finding("report", f"The last change report is {last}.", {"key": last})


def _of_live(bucket: Bucket, run: Run) -> Finding:
    stored = bucket.read(run.file(STATUS))
    told: dict[str, Any] = json.loads(stored.body) if stored else {}
    state, progress = told.get("state", "starting"), told.get("progress")
    sentence = f"The {KINDS[run.kind]} of {INBOX}{run.path} is {state} since {run.started_at}"
    if run.paused and state != "stopped":
        sentence += ", and stops after what runs now"
    if progress:
        sentence += f": {_progress(progress)}"
    facts = {"kind": run.kind, "path": run.path, "run": run.nonce, "paused": run.paused}
    return Finding("sweep", f"{sentence}.", facts | {"state": state, "progress": progress})


def _progress(told: dict[str, Any]) -> str:
    planned = f"{told['planned']:,}" + ("" if told["all_planned"] else " planned so far")
    end = f", to end at {told['expected_end']}" if told["expected_end"] else ""
    return (
        f"attempt {told['attempt']}, {told['answered']:,} of {planned} answered, "
        f"{told['jobs_running']} jobs running, {told['rate']:g} images/s{end}"
    )
