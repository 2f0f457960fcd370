"""What one batch run covers: a folder, one image too large for the endpoint, or a sweep of both."""

import hashlib
import re
from dataclasses import dataclass
from typing import Literal

SLUG_LENGTH = 20

Kind = Literal["uploads", "unanswered", "renewal"]
"""What a run is there for: what a folder was given; what nobody answered; that, and what a model
answered that is no longer the active one. The last two are sweeps."""

RECLASSIFICATION = "sweep"
"""The token of every sweep: so there is one at a time, and no two cover the same images."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A path below `inbox/`: `trip/` is the folder trip, `big.jpg` is that one image.

    No key that is routed ends in a slash, so the two can never be the same text. The empty path is
    all singles that are too large for the endpoint: they share one run. A sweep's path is any
    prefix, the empty one for the whole inbox, with all singles and folders below it.
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
        """Whether it is filled image by image, and its run begins when it has been quiet."""
        return self.is_folder or self.is_large_singles

    def covers(self, other: "Scope") -> bool:
        """Whether a sweep looks after all that the other sweep would."""
        return other.path.startswith(self.path) and self.kind in (other.kind, "renewal")

    @property
    def token(self) -> str:
        """The name this scope has in keys and job names, safe in both; `run.json` records the path.

        A hash, because a path may take 1,018 bytes of any character and a job name 63 of few; a
        slug before it, because people read job names.
        """
        if self.is_reclassification:
            return RECLASSIFICATION
        return f"{self.slug}-{hashlib.sha256(self.path.encode()).hexdigest()[:16]}"

    @property
    def slug(self) -> str:
        if self.is_reclassification:
            return self.kind
        if self.is_large_singles:
            return "large-singles"
        readable = re.sub(r"[^a-z0-9]+", "-", self.path.lower())[:SLUG_LENGTH].strip("-")
        return readable or "x"


LARGE_SINGLES = Scope("")
