"""The form of a finding, and the two files that list all of them.

`findings.csv` is for people and spreadsheets, `findings.json` for scripts; both have a row for each
finding with the same fields. docs/how-to/check-data.md describes them.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from domain.foreign import escape_cell
from domain.tables import reader, writer
from serving.files import read_regular
from training.config.errors import TrainingFailed

KINDS: Mapping[str, str] = {
    "leak": "the same picture is in a split that evaluates the model",
    "conflict": "the same picture has another label",
    "duplicate": "the same picture is in this class already",
    "label_error": "its content speaks for another label",
    "outlier": "it is unlike all other images",
    "dark": "nothing in it is brighter than a quarter of white",
    "blurred": "no edge in it is sharp",
    "blank": "it shows one colour",
    "tiny": "it has too few pixels",
    "imbalance": "the largest class has many times as many training images",
}
"""What is said about an image, or about a class for `imbalance`; in the order of the lists."""

OF_COPIES = frozenset(("leak", "conflict", "duplicate"))
"""Kinds whose `other` is the path of an image."""

CSV_NAME, JSON_NAME = "findings.csv", "findings.json"


@dataclass(frozen=True, slots=True)
class DataFinding:
    path: str
    """Of the image, below the folder that holds the splits; empty for a class."""
    split: str
    label: str
    finding: str
    """One of KINDS."""
    score: float
    """How much of it, in the unit of its kind."""
    other: str
    """The path of the twin, or the label that is suggested; empty where there is neither."""


COLUMNS = tuple(field.name for field in fields(DataFinding))


def count_kinds(findings: Iterable[DataFinding]) -> dict[str, int]:
    """Each kind that there is, in the order of KINDS."""
    counts = Counter(finding.finding for finding in findings)
    return {kind: counts[kind] for kind in KINDS if counts[kind]}


def read_paths(path: Path) -> frozenset[str]:
    """The images that a list names: a `findings.csv`, or what a spreadsheet made of it. Its other
    columns may be missing. Raises TableError, or TrainingFailed where it cannot be read.
    """
    try:
        body = read_regular(path, reader.TABLE_BYTES)
    except OSError as error:
        raise TrainingFailed(f"{path} cannot be read: {error.strerror}.") from error
    rows = reader.read(body, path.name, ("path",)).rows
    return frozenset(filter(None, (row.cells["path"] for row in rows)))


def refuse_existing(folder: Path) -> None:
    """A list may hold a person's edits. Raises TrainingFailed."""
    for path in (folder / CSV_NAME, folder / JSON_NAME):
        if path.exists() or path.is_symlink():
            raise TrainingFailed(
                f"{path} exists, and may have been edited: remove it, or name another folder by "
                "--out."
            )


def write(findings: Sequence[DataFinding], images: Mapping[str, int], folder: Path) -> None:
    """Write both files into `folder`; `images`: their number in each split. Raises TrainingFailed.

    A row takes about 150 bytes: two million findings about a million images, 300 MB a file.
    """
    refuse_existing(folder)
    head = {"schema": 1, "images": images, "counts": count_kinds(findings)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / CSV_NAME).open("x", encoding="utf-8", newline="") as file:
            writer.write_header(file, COLUMNS)
            writer.write_rows(file, map(_cells, findings))
        with (folder / JSON_NAME).open("x", encoding="utf-8") as file:
            file.write(json.dumps(head, indent=1).removesuffix("\n}") + ',\n "findings": [')
            for number, finding in enumerate(findings):
                row = json.dumps(asdict(finding), ensure_ascii=True)
                file.write(f"{',' if number else ''}\n  {row}")
            file.write("\n ]\n}\n")
    except OSError as error:
        raise TrainingFailed(f"{error.filename or folder}: {error.strerror}.") from error


def _cells(finding: DataFinding) -> Sequence[object]:
    return [
        value if isinstance(value, float) else escape_cell(value)
        for value in asdict(finding).values()
    ]
