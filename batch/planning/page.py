"""Pages: the rows of a slice, 500 at a time, small enough for one message and one invocation."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from aws.bucket import ARCHIVES, Listed
from domain.result import Version


@dataclass(frozen=True, slots=True)
class Row:
    """One image as it was listed when the run was planned; an answer counts only for this one.

    `version` is its version id where the time would not tell a later object from it; else None.
    `archived`: by its storage class it may have to be restored. `denied`: it could not be read.
    """

    key: str
    etag: str
    size: int
    last_modified: str
    version: str | None = None
    archived: bool = False
    denied: bool = False

    @classmethod
    def of(cls, listed: Listed) -> "Row":
        at = _instant(listed.last_modified)
        archived = listed.storage_class in ARCHIVES
        return cls(listed.key, listed.etag, listed.size, at, archived=archived)

    @classmethod
    def of_nothing(cls, key: str) -> "Row":
        """For a result whose image is gone: what its page finds under the key is all it goes by."""
        return cls(key, "", 0, "")

    def is_still(self, version: Version, last_modified: datetime) -> bool:
        """The same bytes written again are not the same object: the job may have read either."""
        is_same = Version(self.etag, self.version).is_same(version)
        return is_same and self.last_modified == _instant(last_modified)


def _instant(moment: datetime) -> str:
    """In UTC: two processes may tell the same time in their own zones."""
    return moment.astimezone(UTC).isoformat()


@dataclass(frozen=True, slots=True)
class PageRef:
    """Names one page of one run; small enough to travel in a message."""

    token: str
    nonce: str
    attempt: int
    index: int
    part: int
    page: int


def rows_to_text(rows: Iterable[Row]) -> str:
    return "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)


def rows_from_text(text: bytes) -> tuple[Row, ...]:
    """The inverse of `rows_to_text`; split at line feeds only: keys may hold other breaks."""
    return tuple(Row(**json.loads(line)) for line in text.decode().split("\n") if line)
