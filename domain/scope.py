"""What one batch run covers: a folder, the singles that the endpoint does not take (those too large
for it, or all in a stage without one), or a prefix of the inbox that is reclassified."""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

SLUG_LENGTH = 20

Kind = Literal["uploads", "unanswered", "renewal"]
"""Which images a run answers. `uploads`: the images of a folder without a current answer.
`unanswered`: every image below a prefix without one. `renewal`: those, and the images whose answer
is not by the active model. The last two are reclassifications."""

RECLASSIFICATION = "sweep"
"""The token of every reclassification. As they share it, only one runs at a time and no two answer
the same image."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A path below `inbox/`: `trip/` is the folder `trip`, `big.jpg` is that one image.

    No routed key ends in a slash, so that the two cannot be confused. With `kind="uploads"` the
    empty path stands for all singles that the endpoint does not take; they share one run. The
    path of a reclassification is any prefix; the empty one is the whole inbox.
    """

    path: str
    kind: Kind = "uploads"

    @property
    def is_reclassification(self) -> bool:
        return self.kind != "uploads"

    @property
    def is_folder(self) -> bool:
        return not self.is_reclassification and self.path.endswith("/")

    @property
    def is_large_singles(self) -> bool:
        return not self.is_reclassification and self.path == ""

    @property
    def gathers(self) -> bool:
        """Whether images arrive one by one, and the run begins when they have stopped arriving."""
        return self.is_folder or self.is_large_singles

    def covers(self, other: "Scope") -> bool:
        """Whether this reclassification answers every image that `other` would answer."""
        return other.path.startswith(self.path) and self.kind in (other.kind, "renewal")

    @property
    def token(self) -> str:
        """The scope's name in S3 keys and job names; the claim records the path itself.

        It contains a hash, because a path has up to 1,018 bytes of any character and a job name 63
        of `[a-zA-Z0-9-]`; the slug before it makes job names readable.
        """
        if self.is_reclassification:
            return RECLASSIFICATION
        return f"{self.slug}-{hashlib.sha256(self.path.encode()).hexdigest()[:16]}"

    @property
    def slug(self) -> str:
        """A readable abbreviation of the path, not unique: at most 20 of `[a-z0-9-]`."""
        if self.is_reclassification:
            return self.kind
        if self.is_large_singles:
            return "large-singles"
        readable = re.sub(r"[^a-z0-9]+", "-", self.path.lower())[:SLUG_LENGTH].strip("-")
        return readable or "x"


LARGE_SINGLES = Scope("")
