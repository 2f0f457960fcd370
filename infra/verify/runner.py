"""Run the steps in order, each after the steps that it needs have passed, then the clean-up.

A failed step ends neither the run nor the clean-up: steps that depend on it are `not run`, the
others continue. Ctrl-C ends the run at once, and its state is kept so that the next run resumes.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from botocore.exceptions import BotoCoreError, ClientError

from domain.errors import SortboxError
from infra.verify.state import RunState
from infra.verify.step import Site, Step, StepResult

Explain = Callable[[Exception], str | None]
"""The message for an error that is caused by the user or AWS; None for another error."""


class Reporter(Protocol):
    """Shows the progress to the user, one line per step."""

    def begin(self, name: str) -> None: ...

    def end(self, result: StepResult) -> None: ...


@dataclass(frozen=True, slots=True)
class CleanUp:
    name: str
    act: Callable[[Site], str]


@dataclass(frozen=True, slots=True)
class Runner:
    site: Site
    watch: Reporter
    explain: Explain
    save: Callable[[RunState], None]
    forget: Callable[[], None]
    """Deletes the saved state, so that no run resumes from it."""

    def run(self, steps: Sequence[Step], state: RunState) -> list[StepResult]:
        """Run the steps; returns one result per step. `state` is saved after each step that
        passed.
        """
        results: dict[str, StepResult] = {}
        for step in steps:
            self.watch.begin(step.name)
            result = self._result(step, state, results)
            results[step.name] = result
            state = state.with_result(result)
            self.save(state)
            self.watch.end(result)
        return list(results.values())

    def clean_up(self, clean_ups: Sequence[CleanUp]) -> list[StepResult]:
        """Run all clean-ups, even if some of them fail."""
        if clean_ups:
            self.forget()
        results = []
        for clean_up in clean_ups:
            self.watch.begin(clean_up.name)
            result = self._attempt(clean_up.name, clean_up.act)
            self.watch.end(result)
            results.append(result)
        return results

    def run_and_clean_up(
        self, steps: Sequence[Step], clean_ups: Sequence[CleanUp], state: RunState
    ) -> tuple[list[StepResult], list[StepResult]]:
        """Run the steps, then the clean-ups, even after an unexpected error. After Ctrl-C nothing
        is cleaned up.
        """
        try:
            results = self.run(steps, state)
        except KeyboardInterrupt:
            raise
        except BaseException:
            self.clean_up(clean_ups)
            raise
        return results, self.clean_up(clean_ups)

    def _result(self, step: Step, state: RunState, results: Mapping[str, StepResult]) -> StepResult:
        earlier = state.passed.get(step.name)
        if earlier and not step.is_repeated:
            return earlier
        unmet = [need for need in step.needs if results[need].state != "passed"]
        if unmet:
            return StepResult(step.name, "not run", f"needs: {', '.join(unmet)}")
        return self._attempt(step.name, step.act)

    def _attempt(self, name: str, act: Callable[[Site], str]) -> StepResult:
        start = time.monotonic()
        try:
            observed = act(self.site)
        except (SortboxError, ClientError, BotoCoreError, OSError) as error:
            seconds = time.monotonic() - start
            return StepResult(name, "failed", self.explain(error) or str(error), seconds)
        return StepResult(name, "passed", observed, time.monotonic() - start)
