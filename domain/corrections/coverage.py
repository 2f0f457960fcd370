"""Which corrections a data set holds: all of a folder of the inbox, up to the newest at that time.

A list of names would grow with the corrections, so there is their number, the newest name, and a
digest of all names. A correction that a page sends late, with a name before the newest, is not seen
as new; it is joined all the same, with the next ones.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from domain.corrections.form import moment_of
from domain.keys import INBOX, KEY_BYTES

MOST_FOLDERS = 100
"""Whose corrections were downloaded one by one; of more, the first ones count as new again."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """`folder` is `inbox/`, or a prefix below it; `newest` the name of a correction; `count` that
    of the image versions with a label, and `digest` the SHA-256 of the names of their corrections,
    a line each, in the order of the images.
    """

    folder: str
    count: int
    newest: str
    digest: str

    def to_document(self) -> dict[str, Any]:
        return asdict(self)


def parse_coverage(document: Mapping[str, Any]) -> tuple[Coverage, ...]:
    """What the field `corrections` of a manifest says; nothing without that field. Raises
    ValueError.
    """
    rows = document.get("corrections", [])
    if not isinstance(rows, list) or len(rows) > MOST_FOLDERS:
        raise ValueError(f"corrections is a list of at most {MOST_FOLDERS} folders")
    covered = []
    for row in rows:
        match row:
            case {
                "folder": str(folder),
                "count": int(count),
                "newest": str(newest),
                "digest": str(digest),
            } if folder.startswith(INBOX) and len(folder) <= KEY_BYTES and len(digest) == 64:
                moment_of(newest)
                covered.append(Coverage(folder, count, newest, digest))
            case _:
                raise ValueError("corrections has a row without folder, count, newest and digest")
    return tuple(covered)


def merge(before: Iterable[Coverage], later: Iterable[Coverage]) -> tuple[Coverage, ...]:
    """What a data set holds that has had `later` joined to it: a folder stands for those in it."""
    added = tuple(later)
    kept = [
        one for one in before if not any(one.folder.startswith(wider.folder) for wider in added)
    ]
    return (*kept, *added)[-MOST_FOLDERS:]
