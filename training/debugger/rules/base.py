"""The base of the debugger's rules: smdebug's Rule, with AWS's names for the rules.

Thresholds have AWS's names if they mean the same. A rule is invoked once per saved step.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from training.debugger import smdebug_compat
from training.debugger.smdebug_compat import ModeKeys
from training.debugger.tensors import SavedTensors

TENSORS_SHOWN = 5
"""Beyond these a sentence has a count only."""


@dataclass(frozen=True, slots=True)
class Finding:
    sentence: str
    tensors: tuple[str, ...] = ()


class DebuggerRule(smdebug_compat.Rule):  # type: ignore[misc]
    """One rule; its class variables are parameters that a job may set by name."""

    advice: ClassVar[str]
    needs: ClassVar[str]
    """The collection of tensors that the rule reads."""

    def __init__(self, tensors: SavedTensors, parameters: Mapping[str, str]) -> None:
        super().__init__(tensors, action_str="")
        self.tensors = tensors
        self.finding: Finding | None = None
        self.checks = 0
        """Steps that had tensors for the rule."""
        for name, text in parameters.items():
            default = getattr(type(self), name, None)
            if isinstance(default, int | float):
                setattr(self, name, type(default)(text))
        self.reset_state()

    def reset_state(self) -> None:
        """State that a rule keeps between steps."""

    def invoke_at_step(self, step: int) -> bool:
        mode, number = self.tensors.mode_at(step)
        if not self.tensors.names(step, self.needs):
            return False
        self.checks += 1
        self.finding = self.check(mode, number, step)
        return self.finding is not None

    def check(self, mode: ModeKeys, number: int, step: int) -> Finding | None:
        """`number`: of the step within its mode; `step`: over all modes."""
        raise NotImplementedError

    @classmethod
    def check_silence(cls, idle_seconds: float, parameters: Mapping[str, str]) -> str:
        """The issue if no step came for `idle_seconds`; empty if there is none."""
        return ""

    def missing_data(self) -> str:
        """Why a rule without a finding is not applicable; empty if it is applicable."""
        return "" if self.checks else f"No {self.needs} were saved."


def summarize(tensors: list[str]) -> str:
    more = len(tensors) - TENSORS_SHOWN
    return ", ".join(tensors[:TENSORS_SHOWN]) + (f" and {more} more" if more > 0 else "")
