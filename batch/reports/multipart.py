"""A text file that is written over several invocations, in parts that S3 puts together at the end.

Full parts are objects below the run's prefix, under names that no other process uses; what is not
full yet is in memory, and goes with the place where the next invocation goes on. A process that
dies leaves parts that nobody asks for, until the run's files expire.
"""

from dataclasses import dataclass, field
from typing import Any

from aws.bucket import Bucket, Pieces

PART_CHARACTERS = 8 * 2**20
"""No fewer bytes than S3 wants of a part. Ten thousand parts are 80 GB: no table is so large."""


@dataclass
class PartedFile:
    """`prefix`: of this process's own parts. Memory: one part, twice while it is sent."""

    bucket: Bucket
    prefix: str
    most: int = PART_CHARACTERS
    parts: list[str] = field(default_factory=list)
    _texts: list[str] = field(default_factory=list)
    _characters: int = 0

    def write(self, text: str) -> int:
        """As a text file does, for `csv.writer`; to be given whole records."""
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
        """From where another process left it. Its parts stay where they are."""
        self.parts = list(document["parts"])
        self._texts, self._characters = [document["rest"]], len(document["rest"])
