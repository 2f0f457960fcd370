"""The debugger's rules, by the names that AWS gave its own, as smdebug's Rule.

Thresholds bear AWS's names where they mean the same. Each rule is invoked once at every saved step.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from training.debugger import smdebug_compat
from training.debugger.smdebug_compat import ModeKeys
from training.debugger.tensors import Tensors

NAMED = 5
"""Tensors: beyond these a count is told."""


@dataclass(frozen=True, slots=True)
class Finding:
    sentence: str
    tensors: tuple[str, ...] = ()


class Diagnosis(smdebug_compat.Rule):  # type: ignore[misc]
    """One rule; its class variables are its parameters, which a job may set by their names."""

    advice: ClassVar[str]
    needs: ClassVar[str]
    """A collection of tensors without which the rule says nothing."""

    def __init__(self, tensors: Tensors, parameters: Mapping[str, str]) -> None:
        super().__init__(tensors, action_str="")
        self.tensors = tensors
        self.found: Finding | None = None
        self.looks = 0
        """Steps at which there was something for the rule to judge."""
        for name, text in parameters.items():
            default = getattr(type(self), name, None)
            if isinstance(default, int | float):
                setattr(self, name, type(default)(text))
        self.begin()

    def begin(self) -> None:
        """What a rule remembers from look to look."""

    def invoke_at_step(self, step: int) -> bool:
        mode, number = self.tensors.at(step)
        if not self.tensors.names(step, self.needs):
            return False
        self.looks += 1
        self.found = self.look(mode, number, step)
        return self.found is not None

    def look(self, mode: ModeKeys, number: int, step: int) -> Finding | None:
        """`number`: of the step among those of its mode; `step`: among all."""
        raise NotImplementedError

    @classmethod
    def missed(cls, silent: float, parameters: Mapping[str, str]) -> str:
        """What is wrong if for so many seconds nothing comes to look at; empty: nothing."""
        return ""

    def lacks(self) -> str:
        """Why a rule that found nothing has not really looked; empty where it has."""
        return "" if self.looks else f"No {self.needs} were saved."


def named(tensors: list[str]) -> str:
    more = len(tensors) - NAMED
    return ", ".join(tensors[:NAMED]) + (f" and {more} more" if more > 0 else "")
