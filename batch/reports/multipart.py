"""A text file that is written over several invocations, in parts that S3 assembles at the end.

Full parts are objects below the run's prefix, with names unique to the process. The last,
incomplete part is in memory and is stored with the position for the next invocation. A crashed
process leaves unused parts, which expire with the run's files.
"""

from dataclasses import dataclass, field
from typing import Any

from aws.bucket import Bucket, Pieces

PART_CHARACTERS = 8 * 2**20
"""At least S3's minimum for a part (5 MiB). Its limit of 10,000 parts allows 80 GB."""


@dataclass
class PartedFile:
    """`prefix` is that of this process's parts. Memory: one part, two while one is uploaded."""

    bucket: Bucket
    prefix: str
    most: int = PART_CHARACTERS
    parts: list[str] = field(default_factory=list)
    _texts: list[str] = field(default_factory=list)
    _characters: int = 0

    def write(self, text: str) -> int:
        """Append whole records; the interface is that of a text file, for `csv.writer`."""
        self._texts.append(text)
        self._characters += len(text)
        if self._characters >= self.most:
            key = f"{self.prefix}{len(self.parts):05}"
            self.bucket.put(key, "".join(self._texts))
            self.parts.append(key)
            self._texts, self._characters = [], 0
        return len(text)

    @property
    def pieces(self) -> Pieces:
        return Pieces(tuple(self.parts), "".join(self._texts))

    def to_json(self) -> dict[str, Any]:
        return {"parts": self.parts, "rest": "".join(self._texts)}

    def resume(self, document: dict[str, Any]) -> None:
        """Continue the file of another process, whose parts keep their keys."""
        self.parts = list(document["parts"])
        self._texts, self._characters = [document["rest"]], len(document["rest"])
