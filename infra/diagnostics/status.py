"""Why is nothing there? Where an image or a folder is now, and what it waits for."""

from collections.abc import Iterator

from domain.keys import INBOX, claim_key
from domain.route import ENDPOINT_BYTES, Ignored, InFolder, Ready, Single, route
from domain.scope import LARGE_SINGLES, Scope
from infra.diagnostics import findings
from infra.diagnostics.findings import Finding, Lookout
from infra.diagnostics.reclassifications import of_sweeps
from infra.diagnostics.unanswered import of_left_out


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
