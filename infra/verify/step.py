"""What a step of the acceptance run is, and what it gets to work with."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from aws.bucket import Bucket
from domain.errors import SortboxError
from infra.diagnostics.doctor import CheckResult
from infra.shipped import Variant
from infra.stage import Stage

T = TypeVar("T")

State = Literal["passed", "failed", "not run"]

KEY_PREFIX = "verify"
"""What every name of ours below `inbox/` begins with."""


class StepFailed(SortboxError):
    """What was observed in place of what a step expects, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a step takes on AWS. `machines` run while it does: the endpoint's, and those of a job.

    `most_minutes` is where it gives up, so it bounds what the step can cost.
    """

    minutes: float
    most_minutes: float
    machines: int = 0
    is_build: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """The stage under test, and where everything else comes from."""

    stage: Stage
    client: Callable[[str], Any]
    image_for: Callable[[Variant], str]
    """The URI of the container's image, by digest; it is built where it is missing."""
    bundled: Callable[[], Path]
    """The bundled model's archive."""
    folder: Path
    """For files of this run, on this machine."""
    poll_seconds: float = 2.0

    @property
    def bucket(self) -> Bucket:
        return Bucket(self.client("s3"), self.stage.bucket)

    def wait(self, look: Callable[[], T | None], what: str, minutes: float) -> T:
        """What `look` returns once it is not None. Raises StepFailed after `minutes`."""
        end = time.monotonic() + minutes * 60
        while (result := look()) is None:
            if time.monotonic() > end:
                raise StepFailed(
                    f"{what}: not within {minutes:g} minutes. `./sortbox status --stage "
                    f"{self.stage.name}` says what it waits for."
                )
            time.sleep(self.poll_seconds)
        return result


@dataclass(frozen=True, slots=True)
class Step:
    """`act` returns what it observed, or raises. `is_repeated`: a resumed run does it again."""

    name: str
    requested: str
    expected: str
    usage: Usage
    act: Callable[[Site], str]
    needs: tuple[str, ...] = ()
    is_repeated: bool = False


@dataclass(frozen=True, slots=True)
class StepResult:
    name: str
    state: State
    observed: str
    seconds: float = 0.0


def require(results: Sequence[CheckResult]) -> str:
    """The sentences of the doctor's results. Raises StepFailed for the first that is missing."""
    for result in results:
        if result.state == "missing":
            raise StepFailed(f"{result.sentence}.")
    return "; ".join(
        result.sentence if result.state == "ok" else f"{result.state}: {result.sentence}"
        for result in results
    )
