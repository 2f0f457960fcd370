"""The state of an archive that is being unpacked, and the report about it for people."""

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from aws.bucket import Bucket, ObjectHead
from batch.archives.members import LeftOut
from batch.archives.source import ReplacedError
from batch.claim import WRITE_ATTEMPTS, ContendedError
from domain.keys import ARCHIVES, result_key, unpacked_key, unpacking_key
from domain.result import SOURCE_ETAG, SOURCE_VERSION, STATUS, Version, source_version
from domain.route import PackedFolder

ReportState = Literal["unpacking", "unpacked", "rejected", "removed"]

LISTED_ENTRIES = 1_000
"""The most entries that were left out and are listed by name; all are counted."""

NAME_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Unpacking:
    """The progress of one version of an archive.

    `cursor`: where the next entry begins, in the zip's directory or the tar. `number`: how many
    entries came before it, of `total` (None for a tar, whose end nobody knows).
    """

    key: str
    etag: str
    version_id: str | None
    size: int
    started_at: str
    cursor: int = 0
    number: int = 0
    total: int | None = None
    files: int = 0
    unchanged: int = 0
    unpacked_bytes: int = 0
    guessed_names: int = 0
    reasons: tuple[tuple[str, int], ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def version(self) -> Version:
        return Version(self.etag, self.version_id)

    def leave_out(self, name: str, why: LeftOut) -> "Unpacking":
        """Count an entry that is not unpacked, and list it while the list is short."""
        counts = dict(self.reasons)
        counts[why.reason] = counts.get(why.reason, 0) + 1
        listed = self.left_out
        if len(listed) < LISTED_ENTRIES:
            text = f"{why.reason}: {why.detail}" if why.detail else why.reason
            listed = (*listed, (name[:NAME_CHARACTERS], text))
        return replace(self, reasons=tuple(sorted(counts.items())), left_out=listed)

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: bytes) -> "Unpacking":
        fields = json.loads(text)
        for name in ("reasons", "left_out"):
            fields[name] = tuple((key, value) for key, value in fields[name])
        return cls(**fields)


def read(bucket: Bucket, archive: str) -> Unpacking | None:
    """None if the archive is not being unpacked."""
    stored = bucket.read(unpacking_key(archive))
    return Unpacking.from_json(stored.body) if stored else None


def begin(bucket: Bucket, fresh: Unpacking) -> None:
    """Record that the archive is to be unpacked, from the beginning if it is another version."""
    for _ in range(WRITE_ATTEMPTS):
        stored = bucket.read(unpacking_key(fresh.key))
        if stored and Unpacking.from_json(stored.body).version.is_same(fresh.version):
            return
        etag = stored.etag if stored else None
        if bucket.replace(unpacking_key(fresh.key), fresh.to_json(), etag):
            return
    raise ContendedError(f"the state of {fresh.key!r} changed {WRITE_ATTEMPTS} times")


def save(bucket: Bucket, state: Unpacking) -> None:
    """Raises ReplacedError if the archive is no longer unpacked in this version."""
    stored = bucket.read(unpacking_key(state.key))
    if stored is None or not Unpacking.from_json(stored.body).version.is_same(state.version):
        raise ReplacedError(state.key)
    if not bucket.replace(unpacking_key(state.key), state.to_json(), stored.etag):
        raise ReplacedError(state.key)


def drop(bucket: Bucket, state: Unpacking) -> None:
    """Forget the state, unless it is about another version by now."""
    stored = bucket.read(unpacking_key(state.key))
    if stored and Unpacking.from_json(stored.body).version.is_same(state.version):
        bucket.delete(unpacking_key(state.key), stored.etag)


def next_after(bucket: Bucket, archive: str, attempt: int) -> Unpacking | None:
    """The archive whose turn it is after this one ("": any); None if there is none.

    At a later `attempt` it is one that comes later, so that no archive holds up the others.
    """
    after = unpacking_key(archive) if archive else ""
    waiting = bucket.page(ARCHIVES, after) or bucket.page(ARCHIVES)
    if not waiting:
        return None
    stored = bucket.read(waiting[(attempt - 1) % len(waiting)].key)
    return Unpacking.from_json(stored.body) if stored else None


def report(state: Unpacking, archive: PackedFolder, what: ReportState, reason: str | None) -> str:
    """The report for people, as JSON; docs/reference/bucket.md describes it."""
    document: dict[str, Any] = {
        "schema": 1,
        "archive": state.key,
        "folder": archive.prefix,
        "state": what,
        "reason": reason,
        "entries": state.number,
        "entries_total": state.total,
        "files": state.files,
        "unchanged": state.unchanged,
        "bytes": state.unpacked_bytes,
        "guessed_names": state.guessed_names,
        "left_out": sum(count for _, count in state.reasons),
        "reasons": dict(state.reasons),
        "first_left_out": [{"name": name, "reason": why} for name, why in state.left_out],
        "started_at": state.started_at,
    }
    return json.dumps(document, ensure_ascii=False, indent=1) + "\n"


def publish(
    bucket: Bucket, state: Unpacking, archive: PackedFolder, what: ReportState, reason: str | None
) -> None:
    """Write the report; its metadata says about which version of the archive it is."""
    metadata = {SOURCE_ETAG: state.etag, STATUS: what}
    if state.version_id:
        metadata[SOURCE_VERSION] = state.version_id
    key = unpacked_key(state.key)
    for _ in range(WRITE_ATTEMPTS):
        head = bucket.head(key)
        etag = head.listed.etag if head else None
        if bucket.replace(key, report(state, archive, what, reason), etag, metadata=metadata):
            return
    raise ContendedError(f"{key} changed {WRITE_ATTEMPTS} times")


def is_settled(bucket: Bucket, key: str, version: Version) -> bool:
    """Whether nothing is left to do with this version of an archive: it is unpacked, or rejected
    and its rejection is still there. A restored archive has lost its rejection, and is tried again.
    """
    head = bucket.head(unpacked_key(key))
    if head is None or not is_done(head, version):
        return False
    return head.metadata[STATUS] == "unpacked" or bucket.head(result_key(key)) is not None


def is_done(head: ObjectHead | None, version: Version) -> bool:
    """Whether a report with this head says that this version of the archive is done with."""
    if head is None or head.metadata.get(STATUS) not in ("unpacked", "rejected"):
        return False
    return source_version(head.metadata).is_same(version)
