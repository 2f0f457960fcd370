"""What a sweep answered, laid ready for the tables of the folders that it went through.

A folder's table is its own run's to write. So a sweep leaves its answers below `work/renewed/`,
folder by folder, and asks for each folder to be looked at once more; the folder's report reads them
beside what it knew. They expire with the rest of `work/`, by when the table has them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from batch.answer import Answer, Predicted, Refusal, from_lines, to_line
from batch.bucket import Bucket, Listed
from batch.claim import Run
from batch.cloud import Cloud
from batch.walk import scope_of
from domain.keys import renewed_key, renewed_prefix, renewed_sweep
from domain.scope import Scope


@dataclass
class Renewed:
    """Takes a sweep's answers in the order of image keys. Done again, it does the same again."""

    cloud: Cloud
    run: Run
    _folder: Scope | None = None
    _lines: list[str] = field(default_factory=list)
    _folders: int = 0
    _parts: int = 0

    def add(self, answer: Predicted | Refusal) -> None:
        scope = scope_of(answer.image, self.cloud.folder_depth)
        if scope != self._folder:
            self.close()
            follows = scope.is_folder and self._folders < self.cloud.bounds.table_folders
            self._folder = scope if follows else None
        if self._folder is None:
            return
        self._lines.append(to_line(answer))
        if len(self._lines) == self.cloud.bounds.table_lines:
            self._write(self._folder)

    def close(self) -> None:
        """After a folder's last answer; a folder that holds a deeper one has two such."""
        if self._folder is None:
            return
        if self._lines:
            self._write(self._folder)
        self._folders += 1
        self.cloud.look_later(self._folder, False)
        self._folder = None

    def _write(self, folder: Scope) -> None:
        key = renewed_key(folder, self.run.nonce, self._parts)
        self.cloud.bucket.put(key, "".join(self._lines))
        self._parts += 1
        self._lines.clear()


def sweeps(cloud: Cloud, folder: Scope) -> list[Iterator[Answer]]:
    """What the latest sweeps answered in the folder, the newest first, each by image key."""
    listed = cloud.bucket.walk(renewed_prefix(folder))
    parts = [list(each) for _, each in groupby(listed, lambda part: renewed_sweep(part.key))]
    parts.sort(key=lambda parts: parts[-1].last_modified, reverse=True)
    return [_lines(cloud.bucket, each) for each in parts[: cloud.bounds.table_sweeps]]


def _lines(bucket: Bucket, parts: list[Listed]) -> Iterator[Answer]:
    for part in parts:
        found = bucket.read(part.key)
        if found:
            yield from from_lines(found.body.decode())
