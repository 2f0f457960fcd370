"""Failures of AWS that a test injects into the next jobs: no capacity, an internal error.

`planted.json` in the state folder is read when a job starts: `{"TransformJob": ["CapacityError"]}`
makes the next transform job fail with this reason, which is then removed from the file.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["TransformJob", "TrainingJob"]

REASONS = {
    "CapacityError": "CapacityError: Unable to provision requested ML compute capacity. Please "
    "retry using a different ML instance type.",
    "InternalServerError": "InternalServerError: We encountered an internal error. Please try "
    "again.",
}
"""The FailureReason for each name, from users' reports."""


@dataclass(frozen=True, slots=True)
class Planted:
    file: Path

    def take(self, kind: Kind) -> str | None:
        """The reason why the job that starts now must fail; None if there is none. Each is returned
        once.
        """
        if not self.file.exists():
            return None
        planted: dict[str, list[str]] = json.loads(self.file.read_text())
        if not planted.get(kind):
            return None
        failure = planted[kind].pop(0)
        self.file.write_text(json.dumps(planted))
        return REASONS[failure]
