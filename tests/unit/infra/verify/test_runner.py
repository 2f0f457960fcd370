"""Steps depend on each other, a run resumes, and what a run leaves behind is nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from infra.stage import Stage
from infra.verify.runner import CleanUp, Runner
from infra.verify.state import RunState, StateError, StateFile
from infra.verify.step import Site, Step, StepFailed, StepResult, Usage

USAGE = Usage(1, 2)


@dataclass
class Lines:
    """What a person would see."""

    ended: list[tuple[str, str]] = field(default_factory=list)

    def begin(self, name: str) -> None: ...

    def end(self, result: StepResult) -> None:
        self.ended.append((result.name, result.state))


def nowhere(service: str) -> Any:
    raise AssertionError(f"{service} was called")


def site(folder: Path) -> Site:
    return Site(Stage("verify"), nowhere, lambda variant: "", lambda: folder, folder, 0.01)


def step(name: str, *needs: str, act: Callable[[Site], str] = lambda site: "fine") -> Step:
    return Step(name, "this", "that", USAGE, act, needs)


def fail(site: Site) -> str:
    raise StepFailed("it is broken. Mend it.")


@pytest.fixture
def saved() -> list[RunState]:
    """What a next run would find."""
    return []


@pytest.fixture
def runner(tmp_path: Path, saved: list[RunState]) -> Runner:
    return Runner(site(tmp_path), Lines(), str, saved.append, saved.clear)


NEW = RunState("run", "here")


def test_what_needs_a_step_that_failed_is_not_run_and_the_rest_is(runner: Runner) -> None:
    steps = [step("a", act=fail), step("b", "a"), step("c", "b"), step("d")]
    states = {result.name: result.state for result in runner.run(steps, NEW)}
    assert states == {"a": "failed", "b": "not run", "c": "not run", "d": "passed"}


def test_a_failure_says_its_sentence_and_what_is_not_run_says_why(runner: Runner) -> None:
    first, second = runner.run([step("a", act=fail), step("b", "a")], NEW)
    assert first.observed == "it is broken. Mend it."
    assert second.observed == "needs: a"


def test_a_resumed_run_does_not_repeat_what_has_passed(
    runner: Runner, saved: list[RunState]
) -> None:
    runner.run([step("a"), step("b", act=fail)], NEW)
    assert set(saved[-1].passed) == {"a"}
    again = [step("a", act=fail), step("b", "a")]
    assert [result.state for result in runner.run(again, saved[-1])] == ["passed", "passed"]


def test_a_step_about_the_account_is_repeated(runner: Runner, saved: list[RunState]) -> None:
    runner.run([step("quotas")], NEW)
    again = Step("quotas", "this", "that", USAGE, fail, is_repeated=True)
    assert [result.state for result in runner.run([again], saved[-1])] == ["failed"]


def test_each_part_of_the_clean_up_is_tried(runner: Runner) -> None:
    results = runner.clean_up([CleanUp("a", fail), CleanUp("b", lambda site: "gone")])
    assert [result.state for result in results] == ["failed", "passed"]


def test_a_defect_of_ours_is_cleaned_up_after_and_is_still_a_traceback(
    runner: Runner, saved: list[RunState]
) -> None:
    def defect(site: Site) -> str:
        raise ZeroDivisionError

    gone: list[str] = []

    def clean(site: Site) -> str:
        gone.append("a")
        return "gone"

    clean_up = CleanUp("a", clean)
    with pytest.raises(ZeroDivisionError):
        runner.run_and_clean_up([step("b"), step("a", act=defect)], [clean_up], NEW)
    assert gone == ["a"]
    assert saved == [], "nothing is left to resume"


def test_ctrl_c_leaves_everything_for_the_next_run(runner: Runner, saved: list[RunState]) -> None:
    def interrupted(site: Site) -> str:
        raise KeyboardInterrupt

    clean_up = CleanUp("a", fail)
    with pytest.raises(KeyboardInterrupt):
        runner.run_and_clean_up([step("a"), step("b", act=interrupted)], [clean_up], NEW)
    assert set(saved[-1].passed) == {"a"}


def test_the_state_is_read_back_in_the_same_account_only(tmp_path: Path) -> None:
    file = StateFile(tmp_path / "below" / "state.json")
    result = StepResult("a", "passed", "fine", 1.5)
    state = RunState("run", "here", is_ours=True, passed={"a": result})
    file.write(state)
    assert file.read("here") == state
    elsewhere = file.read("there")
    assert (elsewhere.is_ours, elsewhere.passed) == (False, {})
    assert elsewhere.run != "run"
    file.delete()
    assert file.read("here").passed == {}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"run": 1, "passed": 2}'])
def test_a_state_that_cannot_be_read_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(StateError, match="delete it"):
        StateFile(tmp_path / "state.json").read("here")


def test_what_is_waited_for_ends_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match=r"answers: not within 0 minutes. `./sortbox status"):
        site(tmp_path).wait(lambda: None, "answers", 0)
