"""Knobs that a test turns while the stand-in runs, and what it has seen: files in one folder."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Knobs:
    """`delay_ms`: take this long over every invocation. `status`: answer this to every one."""

    delay_ms: float = 0
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Live:
    folder: Path

    def turn(self, knobs: Knobs) -> None:
        """Atomically, since the stand-in may be reading."""
        new = self.folder / "knobs.new"
        new.write_text(json.dumps(asdict(knobs)))
        new.replace(self.folder / "knobs.json")

    def knobs(self) -> Knobs:
        path = self.folder / "knobs.json"
        return Knobs(**json.loads(path.read_text())) if path.exists() else Knobs()

    def note(self, image: bytes) -> None:
        """One byte more each time; appending is atomic."""
        with (self.folder / f"seen-{_name(image)}").open("ab", buffering=0) as seen:
            seen.write(b".")

    def times(self, image: bytes) -> int:
        """How often these bytes have reached a container."""
        path = self.folder / f"seen-{_name(image)}"
        return path.stat().st_size if path.exists() else 0

    def has_seen(self, image: bytes) -> bool:
        return (self.folder / f"seen-{_name(image)}").exists()


def _name(image: bytes) -> str:
    return hashlib.sha256(image).hexdigest()
