"""Hand the answers of a reclassification to the tables of the folders.

Only a folder's own run writes its table. So a reclassification stores its answers by folder below
`work/renewed/` and queues each folder, whose report then includes them. They expire with the rest
of `work/`, after they are part of the table.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from aws.bucket import Bucket, Listed
from batch.claim import Run
from batch.context import Context
from batch.outcome import Answer, Predicted, Refusal, from_lines, to_line
from batch.planning.walk import scope_of
from domain.keys import reclassification_of, reclassified_key, reclassified_prefix
from domain.scope import Scope


@dataclass
class ReclassifiedAnswers:
    """Stores answers by folder; `add` them sorted by image key. Repetition is harmless."""

    context: Context
    run: Run
    _folder: Scope | None = None
    _lines: list[str] = field(default_factory=list)
    _folders: int = 0
    _parts: int = 0

    def add(self, answer: Predicted | Refusal) -> None:
        scope = scope_of(answer.image, self.context.folder_depth)
        if scope != self._folder:
            self.close()
            follows = scope.is_folder and self._folders < self.context.limits.table_folders
            self._folder = scope if follows else None
        if self._folder is None:
            return
        self._lines.append(to_line(answer))
        if len(self._lines) == self.context.limits.table_lines:
            self._write(self._folder)

    def close(self) -> None:
        """Complete the current folder; a folder that contains another one is completed twice."""
        if self._folder is None:
            return
        if self._lines:
            self._write(self._folder)
        self._folders += 1
        self.context.look_later(self._folder, False)
        self._folder = None

    def _write(self, folder: Scope) -> None:
        key = reclassified_key(folder, self.run.nonce, self._parts)
        self.context.bucket.put(key, "".join(self._lines))
        self._parts += 1
        self._lines.clear()

    def to_json(self) -> dict[str, Any]:
        """The state, for another process to continue; `resume` is the inverse."""
        return {
            "folder": self._folder.path if self._folder else None,
            "lines": self._lines,
            "folders": self._folders,
            "parts": self._parts,
        }

    def resume(self, document: dict[str, Any]) -> None:
        self._folder = None if document["folder"] is None else Scope(document["folder"])
        self._lines, self._folders, self._parts = (
            document["lines"],
            document["folders"],
            document["parts"],
        )


@dataclass
class ReclassifiedFolder:
    """The answers of one reclassification in a folder. `place`: the key of the part being read."""

    bucket: Bucket
    parts: list[Listed]
    place: str

    def answers(self) -> Iterator[Answer]:
        for part in self.parts:
            stored = self.bucket.read(part.key)
            self.place = part.key
            if stored:
                yield from from_lines(stored.body.decode())


def read_reclassified(context: Context, folder: Scope) -> list[ReclassifiedFolder]:
    """The latest reclassifications of the folder, newest first; their answers are sorted by key."""
    listed = context.bucket.walk(reclassified_prefix(folder))
    groups = [
        list(parts) for _, parts in groupby(listed, lambda part: reclassification_of(part.key))
    ]
    groups.sort(key=lambda parts: parts[-1].last_modified, reverse=True)
    latest = groups[: context.limits.table_reclassifications]
    return [ReclassifiedFolder(context.bucket, parts, parts[0].key) for parts in latest]


def resume(context: Context, folder: Scope, place: str) -> ReclassifiedFolder:
    """Continue at `place`, the key of a part."""
    of_sweep = f"{reclassified_prefix(folder)}{reclassification_of(place)}-"
    parts = [part for part in context.bucket.walk(of_sweep) if part.key >= place]
    return ReclassifiedFolder(context.bucket, parts, place)
