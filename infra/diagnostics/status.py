"""Why is nothing there? Where an image or a folder is now, and what it waits for."""

import json
from collections import Counter, deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

from aws.bucket import Bucket
from batch import claim
from batch.claim import Run
from batch.jobs.progress import DONE
from batch.outcome import Unanswered, from_lines, refusals
from batch.reports.change_report import PAGE
from batch.reports.known import ERRORS, Lines
from batch.status import STATUS
from domain import keys
from domain.keys import INBOX, SWEEPS, RunKeys, claim_key
from domain.result import UNREADABLE
from domain.route import ENDPOINT_BYTES, Ignored, InFolder, Ready, Single, route
from domain.scope import LARGE_SINGLES, RECLASSIFICATION, Scope
from functions.endpoint.expensive import TOO_EXPENSIVE
from infra.diagnostics import findings
from infra.diagnostics.findings import Finding, Lookout


def explain(look: Lookout, key: str) -> Iterator[Finding]:
    """From the thing itself outwards; ends where the answer is found."""
    match route(f"{key}x" if key.endswith("/") else key):
        case Ignored(reason):
            yield Finding("road", f"{key} is ignored: {reason}.", {"road": "ignored"})
        case InFolder(_, folder) if key.endswith("/"):
            yield findings.of_folder(look, folder)
            yield from of_left_out(look, folder)
            yield from _waits(look, folder)
        case InFolder(_, folder):
            yield from _image(look, key, folder)
        case Ready(folder):
            sentence = f"{key} starts the folder {INBOX}{folder.path}."
            yield Finding("road", sentence, {"road": "marker"})
            yield from _waits(look, folder)
        case Single():
            yield from _image(look, key, None)


def everything(look: Lookout) -> Iterator[Finding]:
    yield findings.of_model(findings.active(look))
    yield findings.of_endpoint(look)
    yield from of_sweeps(look.bucket)
    yield from findings.of_open_runs(look)
    yield from findings.of_jobs(look)
    yield from findings.of_queues(look)


def _image(look: Lookout, key: str, folder: Scope | None) -> Iterator[Finding]:
    image, active = findings.head_of(look, key), findings.active(look)
    yield findings.of_image(key, image)
    answer = findings.of_answer(look, key, image, active)
    if image is not None or answer.facts["exists"]:
        yield answer
    if answer.facts["current"] or not (image or answer.facts["exists"]):
        return
    if image is not None:
        yield from findings.of_access(look, key)
    if folder is None and image is not None and image.listed.size > ENDPOINT_BYTES:
        sentence = "It is larger than the endpoint takes: one transform job answers such singles."
        yield Finding("road", sentence, {"road": "large"})
        yield from _waits(look, LARGE_SINGLES)
    elif folder is None:
        yield Finding("road", "It is a single: the endpoint answers it.", {"road": "single"})
        yield from _waits(look, Scope(key.removeprefix(INBOX)))
    else:
        sentence = f"It is answered with its folder, {INBOX}{folder.path}."
        yield Finding("road", sentence, {"road": "folder", "folder": INBOX + folder.path})
        yield from _waits(look, folder)


def _waits(look: Lookout, scope: Scope) -> Iterator[Finding]:
    yield findings.of_model(findings.active(look))
    yield findings.of_endpoint(look)
    yield from findings.of_jobs(look)
    if scope.gathers or look.bucket.head(claim_key(scope.token)):
        yield from findings.of_run(look, scope)
    yield from findings.of_queues(look)


KINDS = {"renewal": "reclassification", "unanswered": "search for unanswered images"}


def of_sweeps(bucket: Bucket) -> Iterator[Finding]:
    """Nothing where there has never been one. Lists what sweeps left: some four keys each."""
    found = claim.read(bucket, RECLASSIFICATION)
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


READ = 100_000
"""Lines of errors that are read; a folder may have more."""

PAGES = 200
"""Pages of the last run that are looked through for rows without an answer: 100,000 rows."""

SHOWN = 5


def of_left_out(look: Lookout, scope: Scope) -> Iterator[Finding]:
    """A finding for each reason, with how many there are and the first; nothing where none are."""
    yield from _rejected(look, scope)
    yield from _given_up(look, scope)


def _rejected(look: Lookout, scope: Scope) -> Iterator[Finding]:
    key = keys.folder_file(scope, ERRORS)
    standing = look.bucket.head(key)
    if standing is None:
        return
    lines = Lines(look.bucket, key, standing.listed.etag, standing.listed.size).lines()
    counts: Counter[str] = Counter()
    first: dict[str, list[dict[str, str]]] = {UNREADABLE: [], TOO_EXPENSIVE: []}
    for refusal in refusals(islice(lines, READ)):
        if refusal.code in first:
            counts[refusal.code] += 1
            if len(first[refusal.code]) < SHOWN:
                first[refusal.code].append({"image": refusal.image, "why": refusal.message})
    for code, count in sorted(counts.items()):
        yield _finding("rejected", f"Rejected as {code}", count, first[code], {"code": code})


def _given_up(look: Lookout, scope: Scope) -> Iterator[Finding]:
    """By the last pages of the last run: what an attempt could not do, a later one may have."""
    told = look.bucket.read(keys.folder_file(scope, STATUS))
    status: dict[str, Any] = json.loads(told.body) if told else {}
    if status.get("state") != "failed":
        return
    run = RunKeys(scope.token, status["run"])
    walked = (each.key for each in look.bucket.walk(f"{run.prefix}progress/"))
    done = deque((key for key in walked if key.endswith(DONE)), maxlen=PAGES)
    left: dict[str, str] = {}
    for key in done:
        found = look.bucket.read(key)
        for answer in from_lines(found.body.decode()) if found else ():
            if isinstance(answer, Unanswered):
                left.setdefault(answer.image, answer.why)
            else:
                left.pop(answer.image, None)
    if left:
        some = [{"image": image, "why": why} for image, why in islice(left.items(), SHOWN)]
        yield _finding("unanswered", "Not answered by the last run", len(left), some, {})


def _finding(
    about: str, what: str, count: int, some: list[dict[str, str]], facts: dict[str, Any]
) -> Finding:
    named = "; ".join(f"{each['image']} ({each['why'].rstrip('.')})" for each in some)
    more = f"; and {count - len(some):,} more" if count > len(some) else ""
    sentence = f"{what}: {count:,}. {named}{more}."
    return Finding(about, sentence, {"images": count, "first": some} | facts)
