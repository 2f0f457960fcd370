"""Findings about archives: how far they are unpacked, and what was left out of them."""

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from batch.archives import state
from batch.archives.state import Unpacking
from domain.foreign import visible
from domain.keys import ARCHIVES, unpacked_key
from domain.route import PackedFolder, route
from domain.scope import Scope
from infra.diagnostics import findings
from infra.diagnostics.findings import StatusFinding, StatusSources

MAX_SHOWN = 5
"""The most entries of an archive that are shown by name."""

MAX_READ = 10
"""The most archives that are being unpacked and are looked at."""


def of_archive(sources: StatusSources, archive: PackedFolder) -> Iterator[StatusFinding]:
    """The archive, how far it is, and the queues while it is not done with."""
    bucket, key = sources.bucket, archive.key
    image = findings.head_of(sources, key)
    yield findings.of_image(key, image)
    sentence = f"It is an archive, which is unpacked into {archive.prefix}."
    yield StatusFinding("road", sentence, {"road": "archive", "folder": archive.prefix})
    answer = findings.of_answer(sources, key, image, findings.active(sources))
    if answer.facts["exists"]:
        yield answer
    unpacking, stored = state.read(bucket, key), bucket.read(unpacked_key(key))
    if unpacking:
        yield _of_progress(unpacking)
    elif stored:
        yield _of_report(json.loads(stored.body))
    if image is not None and not state.is_settled(bucket, key, image.version):
        if not unpacking:
            sentence = "This version of it is not unpacked yet."
            yield StatusFinding("archive", sentence, {"state": "waiting"})
        yield findings.of_model(findings.active(sources))
        yield from findings.of_queues(sources)


def of_live_archives(
    sources: StatusSources, folder: Scope | None = None
) -> Iterator[StatusFinding]:
    """The first archives that are being unpacked, those of one folder or all."""
    for listed in islice(sources.bucket.walk(ARCHIVES), MAX_READ):
        stored = sources.bucket.read(listed.key)
        unpacking = Unpacking.from_json(stored.body) if stored else None
        archive = route(unpacking.key) if unpacking else None
        if unpacking and isinstance(archive, PackedFolder) and folder in (None, archive.folder):
            yield _of_progress(unpacking)


def _of_progress(unpacking: Unpacking) -> StatusFinding:
    total = f" of {unpacking.total:,}" if unpacking.total is not None else ""
    left_out = sum(count for _, count in unpacking.reasons)
    return StatusFinding(
        "archive",
        f"{unpacking.key} is being unpacked since {unpacking.started_at}: "
        f"{unpacking.number:,}{total} entries, {unpacking.files:,} files, {left_out:,} left out.",
        {
            "state": "unpacking",
            "archive": unpacking.key,
            "entries": unpacking.number,
            "entries_total": unpacking.total,
            "files": unpacking.files,
            "left_out": left_out,
        },
    )


def _of_report(report: dict[str, Any]) -> StatusFinding:
    left_out = report["left_out"]
    sentence = f"The archive is {report['state']}: {report['files']:,} files in {report['folder']}"
    if left_out:
        some = report["first_left_out"][:MAX_SHOWN]
        named = "; ".join(f"{visible(item['name'])} ({item['reason']})" for item in some)
        more = f"; and {left_out - len(some):,} more" if left_out > len(some) else ""
        sentence += f", {left_out:,} entries left out: {named}{more}"
    guessed = report.get("guessed_names", 0)  # not in a report of before
    if guessed:
        sentence += (
            f"; names read as code page 437 or Latin-1, because they are not UTF-8: {guessed:,}"
        )
    names = ("state", "files", "left_out", "reasons", "folder", "reason")
    return StatusFinding("archive", f"{sentence}.", {name: report[name] for name in names})
