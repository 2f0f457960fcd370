"""What one batch run covers: a folder of the inbox, or one image too large for the endpoint."""

import hashlib
import re
from dataclasses import dataclass

SLUG_LENGTH = 20


@dataclass(frozen=True, slots=True)
class Scope:
    """A path below `inbox/`: `trip/` is the folder trip, `big.jpg` is that one image.

    No key that is routed ends in a slash, so the two can never be the same text.
    """

    path: str

    @property
    def is_folder(self) -> bool:
        return self.path.endswith("/")

    @property
    def token(self) -> str:
        """The name this scope has in keys and job names, safe in both; `run.json` records the path.

        A hash, because a path may take 1,018 bytes of any character and a job name 63 of few; a
        slug before it, because people read job names.
        """
        return f"{self.slug}-{hashlib.sha256(self.path.encode()).hexdigest()[:16]}"

    @property
    def slug(self) -> str:
        readable = re.sub(r"[^a-z0-9]+", "-", self.path.lower())[:SLUG_LENGTH].strip("-")
        return readable or "x"
