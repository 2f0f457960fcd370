"""The progress of an acceptance run: one file on this machine, from which the next run resumes."""

import json
import secrets
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from domain.errors import SortboxError
from infra.verify.step import StepResult


class StateError(SortboxError):
    """The state file cannot be read."""


@dataclass(frozen=True, slots=True)
class RunState:
    """`where`: a digest of account and region, so that a run resumes in the same account only.

    `is_ours`: this run has created the stage or is about to.
    """

    run: str
    where: str
    is_ours: bool = False
    passed: dict[str, StepResult] = field(default_factory=dict)
    operations: tuple[str, ...] = ()
    """The AWS operations that the run has called so far."""

    def with_result(self, result: StepResult) -> "RunState":
        if result.state != "passed":
            return self
        return replace(self, passed={**self.passed, result.name: result})


@dataclass(frozen=True, slots=True)
class StateFile:
    path: Path

    def read(self, where: str) -> RunState:
        """Read the state; a new one if there is none for this account. Raises StateError."""
        try:
            document = json.loads(self.path.read_text())
            results = {name: StepResult(**result) for name, result in document["passed"].items()}
            state = RunState(
                document["run"],
                document["where"],
                document["is_ours"],
                results,
                tuple(document["operations"]),
            )
        except FileNotFoundError:
            return RunState(secrets.token_hex(5), where)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StateError(
                f"{self.path} is not the state of an acceptance run ({error!r}): delete it."
            ) from error
        return state if state.where == where else RunState(secrets.token_hex(5), where)

    def write(self, state: RunState) -> None:
        """Write the file atomically."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        written = self.path.with_suffix(".part")
        written.write_text(json.dumps(asdict(state), indent=1))
        written.replace(self.path)

    def delete(self) -> None:
        self.path.unlink(missing_ok=True)
