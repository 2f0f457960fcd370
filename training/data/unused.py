"""What of a data set is not used, and what its upload has recorded of that.

The record is the file `_dataset.json` beside the splits of a data set that the launcher uploaded:
the job, which sees only what was uploaded, repeats in its log and report what was left out before.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from domain.ignored.names import DATASET_RECORD
from serving.files import read_regular

EXAMPLES_SHOWN = 5
"""In a sentence, and in the report."""

RECORD_BYTES = 2**20


@dataclass
class UnusedFiles:
    """Files that are not used: for each reason their number and the first names. There are few
    reasons, so that a million files take no more memory than ten."""

    files: dict[str, int] = field(default_factory=dict)
    such_as: dict[str, list[str]] = field(default_factory=dict)

    def add(self, name: str, reason: str, files: int = 1) -> None:
        """A file, or a folder with its number of files."""
        self.files[reason] = self.files.get(reason, 0) + files
        examples = self.such_as.setdefault(reason, [])
        if len(examples) < EXAMPLES_SHOWN:
            examples.append(name)

    def merge(self, other: "UnusedFiles") -> None:
        for reason, files in other.files.items():
            self.files[reason] = self.files.get(reason, 0) + files
            names = [*self.such_as.get(reason, []), *other.such_as.get(reason, [])]
            self.such_as[reason] = names[:EXAMPLES_SHOWN]

    def lines(self, is_counted: bool = True) -> list[str]:
        """A line for each reason; without `is_counted`, the numbers are not known."""
        return [
            f"not used: {_files(files) if is_counted else 'files'} ({reason}), such as "
            + ", ".join(self.such_as.get(reason, []))
            for reason, files in self.files.items()
        ]


def _files(count: int) -> str:
    return f"{count:,} {'file' if count == 1 else 'files'}"


@dataclass(frozen=True, slots=True)
class Record:
    """What the launcher did not upload of a data set."""

    left_out: int = 0
    left_out_such_as: tuple[str, ...] = ()
    unused: UnusedFiles = field(default_factory=UnusedFiles)

    def to_json(self) -> str:
        document = {
            "left_out": self.left_out,
            "left_out_such_as": self.left_out_such_as,
            "unused": self.unused.files,
            "unused_such_as": self.unused.such_as,
        }
        return json.dumps(document, ensure_ascii=False, indent=1)


def read_record(root: Path) -> Record | None:
    """The record of an uploaded data set; None for a data set that has none, or a broken one."""
    try:
        document = json.loads(read_regular(root / DATASET_RECORD, RECORD_BYTES))
        files, such_as = document["unused"].items(), document["unused_such_as"].items()
        unused = UnusedFiles(
            {str(reason): int(count) for reason, count in files},
            {str(reason): [*_texts(names)] for reason, names in such_as},
        )
        return Record(int(document["left_out"]), _texts(document["left_out_such_as"]), unused)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _texts(names: Iterable[Any]) -> tuple[str, ...]:
    return tuple(str(name) for name in names)[:EXAMPLES_SHOWN]
