"""Records that survive a restart: one small JSON file each, cached in memory."""

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from infra.local.sagemaker.core.resources import KINDS, Kind

Record = dict[str, Any]
"""A resource in AWS's terms: the members of the request and those that Describe adds. Times: epoch
seconds."""


class Store:
    """The records of all kinds. Jobs are never deleted, as in AWS: each has about 2 KB, and a
    million images are 20 jobs.
    """

    def __init__(self, folder: Path, region: str) -> None:
        self._folder = folder
        self.region = region
        self._records = {kind: self._load(kind) for kind in KINDS}

    def create(self, kind: Kind, record: Record) -> Record:
        """Store a new record with its ARN and times. Raises AWS's error if the name is taken."""
        name = record[kind.name_field]
        self.refuse_taken(kind, name)
        arn, now = kind.arn(self.region, name), time.time()
        return self._write(
            kind, {**record, kind.arn_field: arn, "CreationTime": now, "LastModifiedTime": now}
        )

    def refuse_taken(self, kind: Kind, name: str) -> None:
        """Raises AWS's error if the name is taken."""
        if name in self._records[kind]:
            raise kind.duplicate(kind.arn(self.region, name))

    def get(self, kind: Kind, name: str) -> Record:
        """The record. Raises AWS's error if it does not exist."""
        if name not in self._records[kind]:
            raise kind.missing(name, kind.arn(self.region, name))
        return self._records[kind][name]

    def update(self, kind: Kind, name: str, **changes: Any) -> Record:
        """Change members of a record; a value of None removes the member."""
        changed = {**self.get(kind, name), **changes, "LastModifiedTime": time.time()}
        members = {member: value for member, value in changed.items() if value is not None}
        return self._write(kind, members)

    def delete(self, kind: Kind, name: str) -> None:
        self.get(kind, name)
        self._path(kind, name).unlink()
        del self._records[kind][name]

    def all(self, kind: Kind) -> Iterable[Record]:
        return list(self._records[kind].values())

    def _write(self, kind: Kind, record: Record) -> Record:
        name = record[kind.name_field]
        path = self._path(kind, name)
        written = path.with_suffix(".part")
        written.write_text(json.dumps(record, ensure_ascii=False, indent=1))
        written.replace(path)
        self._records[kind][name] = record
        return record

    def _load(self, kind: Kind) -> dict[str, Record]:
        folder = self._folder / kind.slug
        folder.mkdir(parents=True, exist_ok=True)
        records = (json.loads(path.read_text()) for path in sorted(folder.glob("*.json")))
        return {record[kind.name_field]: record for record in records}

    def _path(self, kind: Kind, name: str) -> Path:
        return self._folder / kind.slug / f"{name.replace('/', '.')}.json"
