"""Which corrections a data set holds: all of a folder of the inbox, up to the newest at that time.

There is their number, the newest name, a digest of all names, and of each the first bytes of its
hash, so that a correction is seen as new that a page has sent late, with a name before the newest.
A manifest has a bound, so the hashes of at most MOST_HELD are in it; of more, a late one is not
seen as new, and is joined all the same, with the next ones.
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from domain.corrections.form import moment_of
from domain.keys import INBOX, KEY_BYTES

MOST_FOLDERS = 100
"""Whose corrections were downloaded one by one; of more, the first ones count as new again."""

MOST_HELD = 50_000
"""Corrections that are named by their hashes, in all folders of a manifest: 400 kB."""

HASH_BYTES = 6
"""Of 50,000 names, two share one in one of 200,000 manifests."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """`folder` is `inbox/`, or a prefix below it; `newest` the name of a correction; `count` that
    of the image versions with a label, and `digest` the SHA-256 of the names of their corrections,
    a line each, in the order of the images. `held` has the hashes of the corrections that rule
    (`Held`), with a label or without; it is empty where there are too many. `left_out` counts those
    whose images are in validation or test: nothing is ever learnt from them.
    """

    folder: str
    count: int
    newest: str
    digest: str
    held: str = ""
    left_out: int = 0

    def to_document(self) -> dict[str, Any]:
        return asdict(self)


class Held:
    """Names of corrections, as far as a manifest names them."""

    def __init__(self, text: str) -> None:
        """Raises ValueError for what `encode` has not made."""
        try:
            packed = base64.b64decode(text, validate=True)
        except ValueError as error:
            raise ValueError(f"held is no base64: {error}") from error
        if len(packed) % HASH_BYTES or len(packed) > HASH_BYTES * MOST_HELD:
            raise ValueError(f"held is at most {MOST_HELD:,} hashes of {HASH_BYTES} bytes")
        starts = range(0, len(packed), HASH_BYTES)
        self._hashes = frozenset(packed[at : at + HASH_BYTES] for at in starts)

    def __contains__(self, name: str) -> bool:
        return _hash(name) in self._hashes

    @staticmethod
    def encode(names: Iterable[str]) -> str:
        """Empty for more than MOST_HELD names."""
        hashes = sorted(map(_hash, names))
        return base64.b64encode(b"".join(hashes)).decode() if len(hashes) <= MOST_HELD else ""


def _hash(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:HASH_BYTES]


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
                held, left_out = (
                    row.get("held", ""),
                    row.get("left_out", 0),
                )  # older manifests lack both
                if not isinstance(held, str) or not isinstance(left_out, int) or left_out < 0:
                    raise ValueError("corrections has a row whose held or left_out is none")
                Held(held)
                covered.append(Coverage(folder, count, newest, digest, held, left_out))
            case _:
                raise ValueError("corrections has a row without folder, count, newest and digest")
    return tuple(covered)


def merge(before: Iterable[Coverage], later: Iterable[Coverage]) -> tuple[Coverage, ...]:
    """What a data set holds that has had `later` joined to it: a folder stands for those in it.

    Of more than MOST_HELD corrections, the hashes of the oldest folders are left out.
    """
    added = tuple(later)
    kept = [
        one for one in before if not any(one.folder.startswith(wider.folder) for wider in added)
    ]
    return tuple(_bounded((*kept, *added)[-MOST_FOLDERS:]))


def _bounded(rows: tuple[Coverage, ...]) -> Iterator[Coverage]:
    sizes = [len(base64.b64decode(one.held)) // HASH_BYTES for one in rows]
    for index, one in enumerate(rows):
        yield one if sum(sizes[index:]) <= MOST_HELD else replace(one, held="")
