"""A step of the acceptance run, and the site that it works on."""

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
"""The prefix of all names of the run below `inbox/`."""


class StepFailed(SortboxError):
    """A step observed something unexpected; the message says what, and what to do about it."""


@dataclass(frozen=True, slots=True)
class Usage:
    """The AWS resources of a step. `machines` run during it: the endpoint's, and those of a job.

    The step fails after `most_minutes`, which therefore bounds its cost.
    """

    minutes: float
    most_minutes: float
    machines: int = 0
    is_build: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """The stage under test, and what the steps need to work on it."""

    stage: Stage
    client: Callable[[str], Any]
    image_for: Callable[[Variant], str]
    """Returns the URI, by digest, of the container image; builds it if it is missing."""
    bundled: Callable[[], Path]
    """Returns the path of the bundled model's archive."""
    folder: Path
    """A folder on this machine for files of this run."""
    poll_seconds: float = 2.0

    @property
    def bucket(self) -> Bucket:
        return Bucket(self.client("s3"), self.stage.bucket)

    def wait(self, look: Callable[[], T | None], what: str, minutes: float) -> T:
        """Poll `look` until it returns a value that is not None. Raises StepFailed after
        `minutes`.
        """
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
    """`act` returns what it observed, or raises. With `is_repeated`, a resumed run repeats the
    step.
    """

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
    """The sentences of the doctor's results. Raises StepFailed for the first one that is
    missing.
    """
    for result in results:
        if result.state == "missing":
            raise StepFailed(f"{result.sentence}.")
    return "; ".join(
        result.sentence if result.state == "ok" else f"{result.state}: {result.sentence}"
        for result in results
    )
