"""What `status` shows: the state of an image or a folder, and what it is waiting for."""

import json
from collections import Counter, deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

from aws.bucket import Bucket, Listed
from batch import claim
from batch.claim import SUMMARY, Run
from batch.jobs.progress import DONE
from batch.outcome import Unanswered, from_lines, refusals
from batch.reports.change_report import PAGE
from batch.reports.known import ERRORS, Lines
from batch.status import STATUS
from domain import keys
from domain.keys import INBOX, SWEEPS, RunKeys, claim_key
from domain.model import EndpointMode
from domain.result import UNREADABLE
from domain.route import (
    ENDPOINT_BYTES,
    LARGE_BODY_BYTES,
    Ignored,
    InFolder,
    PackedFolder,
    Ready,
    Single,
    endpoint_bytes,
    route,
)
from domain.scope import LARGE_SINGLES, RECLASSIFICATION, Scope
from functions.endpoint.expensive import TOO_EXPENSIVE
from infra.diagnostics import findings
from infra.diagnostics.archives import of_archive, of_live_archives
from infra.diagnostics.findings import StatusFinding, StatusSources


def explain(sources: StatusSources, key: str) -> Iterator[StatusFinding]:
    """The findings on a key, from the object itself to the queues; ends when its state is
    explained.
    """
    match route(f"{key}x" if key.endswith("/") else key):
        case Ignored(reason):
            yield StatusFinding("road", f"{key} is ignored: {reason}.", {"road": "ignored"})
        case InFolder(_, folder) if key.endswith("/"):
            yield findings.of_folder(sources, folder)
            yield from of_left_out(sources, folder)
            yield from of_live_archives(sources, folder)
            yield from _waits(sources, folder)
        case InFolder(_, folder):
            yield from _image(sources, key, folder)
        case Ready(folder):
            sentence = f"{key} starts the folder {INBOX}{folder.path}."
            yield StatusFinding("road", sentence, {"road": "marker"})
            yield from _waits(sources, folder)
        case PackedFolder() as archive:
            yield from of_archive(sources, archive)
        case Single():
            yield from _image(sources, key, None)


def everything(sources: StatusSources) -> Iterator[StatusFinding]:
    yield findings.of_model(findings.active(sources))
    yield findings.of_endpoint(sources)
    yield from of_sweeps(sources.bucket)
    yield from findings.of_open_runs(sources)
    yield from of_live_archives(sources)
    yield from findings.of_jobs(sources)
    yield from findings.of_queues(sources)


def _is_left_to_job(sources: StatusSources, image: Listed, mode: EndpointMode) -> bool:
    """Whether a transform job classifies a single image of this size. For sizes that only some
    endpoints accept, onUpload has recorded the images that its endpoint does not.
    """
    if image.size > (LARGE_BODY_BYTES if mode == "instance" else endpoint_bytes(mode)):
        return True
    if mode == "instance" and image.size <= ENDPOINT_BYTES:
        return False
    return sources.bucket.head(keys.large_key(image.key)) is not None


def _image(sources: StatusSources, key: str, folder: Scope | None) -> Iterator[StatusFinding]:
    image, active = findings.head_of(sources, key), findings.active(sources)
    yield findings.of_image(key, image)
    answer = findings.of_answer(sources, key, image, active)
    if image is not None or answer.facts["exists"]:
        yield answer
    if answer.facts["current"] or not (image or answer.facts["exists"]):
        return
    if image is not None:
        yield from findings.of_access(sources, key)
    mode = active.mode if active else "instance"
    if folder is None and image is not None and _is_left_to_job(sources, image.listed, mode):
        sentence = "It is larger than the endpoint takes: one transform job answers such singles."
        if mode == "none":
            sentence = "The stage has no endpoint: one transform job answers its singles."
        yield StatusFinding("road", sentence, {"road": "large"})
        yield from _waits(sources, LARGE_SINGLES)
    elif folder is None:
        yield StatusFinding("road", "It is a single: the endpoint answers it.", {"road": "single"})
        yield from _waits(sources, Scope(key.removeprefix(INBOX)))
    else:
        sentence = f"It is answered with its folder, {INBOX}{folder.path}."
        yield StatusFinding("road", sentence, {"road": "folder", "folder": INBOX + folder.path})
        yield from _waits(sources, folder)


def _waits(sources: StatusSources, scope: Scope) -> Iterator[StatusFinding]:
    yield findings.of_model(findings.active(sources))
    yield findings.of_endpoint(sources)
    yield from findings.of_jobs(sources)
    if scope.gathers or sources.bucket.head(claim_key(scope.token)):
        yield from findings.of_run(sources, scope)
    yield from findings.of_queues(sources)


KINDS = {"renewal": "reclassification", "unanswered": "search for unanswered images"}


def of_sweeps(bucket: Bucket) -> Iterator[StatusFinding]:
    """The reclassification that runs, and the last change report; nothing if there was none. It
    lists the objects that reclassifications have left: about four keys each.
    """
    claimed = claim.read(bucket, RECLASSIFICATION)
    if claimed is not None:
        yield _of_live(bucket, claimed.run)
    reports = (item.key for item in bucket.walk(SWEEPS) if item.key.endswith(PAGE))
    for last in deque(reports, maxlen=1):
        yield StatusFinding("report", f"The last change report is {last}.", {"key": last})


def _of_live(bucket: Bucket, run: Run) -> StatusFinding:
    stored = bucket.read(run.file(STATUS))
    document: dict[str, Any] = json.loads(stored.body) if stored else {}
    state, progress = document.get("state", "starting"), document.get("progress")
    sentence = f"The {KINDS[run.kind]} of {INBOX}{run.path} started at {run.started_at} and is "
    sentence += state
    if state not in ("starting", "running"):
        sentence += f" since {document['updated_at']}"
    if run.paused and state != "stopped":
        sentence += ", and stops after what runs now"
    if progress:
        sentence += f": {_progress(progress, is_running=state == 'running')}"
    facts = {"kind": run.kind, "path": run.path, "run": run.nonce, "paused": run.paused}
    return StatusFinding(
        "sweep",
        f"{sentence}.",
        facts
        | {"state": state, "progress": progress}
        | {"started_at": run.started_at, "updated_at": document.get("updated_at")},
    )


def _progress(progress: dict[str, Any], is_running: bool) -> str:
    planned = f"{progress['planned']:,}" + ("" if progress["all_planned"] else " planned so far")
    is_open = is_running and progress["answered"] < progress["planned"]
    ends = is_open and progress["expected_end"]
    end = f", to end at {progress['expected_end']}" if ends else ""
    return (
        f"attempt {progress['attempt']}, {progress['answered']:,} of {planned} answered, "
        f"{progress['jobs_running']} jobs running, {progress['rate']:g} images/s{end}"
    )


MAX_ERROR_LINES = 100_000
"""The most error lines that are read; a folder may have more."""

MAX_PROGRESS_PAGES = 200
"""The most pages of the last run that are searched for rows without a result: 100,000 rows."""

MAX_SHOWN = 5


def of_left_out(sources: StatusSources, scope: Scope) -> Iterator[StatusFinding]:
    """One finding per reason, with the number of images and the first ones; nothing if none is left
    out.
    """
    yield from _rejected(sources, scope)
    yield from _unanswered(sources, scope)
    yield from _ignored(sources, scope)


def _rejected(sources: StatusSources, scope: Scope) -> Iterator[StatusFinding]:
    key = keys.folder_file(scope, ERRORS)
    standing = sources.bucket.head(key)
    if standing is None:
        return
    lines = Lines(sources.bucket, key, standing.listed.etag, standing.listed.size).lines()
    counts: Counter[str] = Counter()
    first: dict[str, list[dict[str, str]]] = {UNREADABLE: [], TOO_EXPENSIVE: []}
    for refusal in refusals(islice(lines, MAX_ERROR_LINES)):
        if refusal.code in first:
            counts[refusal.code] += 1
            if len(first[refusal.code]) < MAX_SHOWN:
                first[refusal.code].append({"image": refusal.image, "why": refusal.message})
    for code, count in sorted(counts.items()):
        yield _left_out("rejected", f"Rejected as {code}", count, first[code], {"code": code})


def _unanswered(sources: StatusSources, scope: Scope) -> Iterator[StatusFinding]:
    """Images without a result, from the last pages of the last run; a later attempt may have
    classified an image that an earlier one did not.
    """
    document = sources.bucket.read(keys.folder_file(scope, STATUS))
    status: dict[str, Any] = json.loads(document.body) if document else {}
    if status.get("state") != "failed":
        return
    run = RunKeys(scope.token, status["run"])
    walked_keys = (item.key for item in sources.bucket.walk(f"{run.prefix}progress/"))
    done_keys = deque((key for key in walked_keys if key.endswith(DONE)), maxlen=MAX_PROGRESS_PAGES)
    left: dict[str, str] = {}
    for key in done_keys:
        page = sources.bucket.read(key)
        for answer in from_lines(page.body.decode()) if page else ():
            if isinstance(answer, Unanswered):
                left.setdefault(answer.image, answer.why)
            else:
                left.pop(answer.image, None)
    if left:
        some = [{"image": image, "why": why} for image, why in islice(left.items(), MAX_SHOWN)]
        yield _left_out("unanswered", "Not answered by the last run", len(left), some, {})


def _ignored(sources: StatusSources, scope: Scope) -> Iterator[StatusFinding]:
    """The files that the last report of the folder ignored, with the reasons."""
    document = sources.bucket.read(keys.folder_file(scope, SUMMARY))
    summary: dict[str, Any] = json.loads(document.body) if document else {}
    reasons: dict[str, int] = summary.get("ignored_reasons", {})
    if reasons:
        counts = "; ".join(f"{count:,} ({reason})" for reason, count in reasons.items())
        sentence = f"Ignored files: {counts}."
        facts = {"files": summary["ignored"], "reasons": reasons}
        yield StatusFinding("ignored", sentence, facts)


def _left_out(
    about: str, what: str, count: int, some: list[dict[str, str]], facts: dict[str, Any]
) -> StatusFinding:
    named = "; ".join(f"{item['image']} ({item['why'].rstrip('.')})" for item in some)
    more = f"; and {count - len(some):,} more" if count > len(some) else ""
    sentence = f"{what}: {count:,}. {named}{more}."
    return StatusFinding(about, sentence, {"images": count, "first": some} | facts)
