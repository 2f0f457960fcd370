"""Which images of a folder have no labels through no fault of their pixels, and why."""

import json
from collections import Counter, deque
from collections.abc import Iterator
from itertools import islice
from typing import Any

from batch.jobs.progress import DONE
from batch.outcome import Unanswered, from_lines, refusals
from batch.reports.known import ERRORS, Lines
from batch.status import STATUS
from domain import keys
from domain.keys import RunKeys
from domain.result import UNREADABLE
from domain.scope import Scope
from functions.endpoint.expensive import TOO_EXPENSIVE
from infra.diagnostics.findings import Finding, Lookout

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
