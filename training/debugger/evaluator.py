"""The rules evaluated while training goes on: what each says, when it began to, and of what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.debugger import tensors
from training.debugger.report import ERROR, ISSUE, NO_ISSUE, NOT_APPLICABLE, Verdict
from training.debugger.rules.base import Diagnosis
from training.debugger.rules.loss import LossNotDecreasing, Overfit, Overtraining
from training.debugger.rules.tensor import (
    AllZero,
    ClassImbalance,
    DeadRelu,
    ExplodingTensor,
    PoorWeightInitialization,
    StalledTrainingRule,
    VanishingGradient,
)
from training.debugger.smdebug_compat import RuleEvaluationConditionMet
from training.debugger.tensors import Made, Tensors

EVERY: tuple[type[Diagnosis], ...] = (
    LossNotDecreasing,
    Overfit,
    Overtraining,
    VanishingGradient,
    ExplodingTensor,
    DeadRelu,
    PoorWeightInitialization,
    ClassImbalance,
    AllZero,
    StalledTrainingRule,
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A rule of that name, told so in DebugRuleConfigurations or by us."""

    kind: type[Diagnosis]
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.kind.__name__


OURS = tuple(Asked(rule) for rule in EVERY)


class Jury:
    """Hears each saved step once; a rule that has found an issue, or broke, is heard no more."""

    def __init__(self, folder: Path, asked: Sequence[Asked] = OURS) -> None:
        self._folder = folder
        self._asked = asked
        self._tensors: Tensors | None = None
        self._rules: list[Diagnosis] = []
        self._over: dict[int, Verdict] = {}
        self.heard = -1
        """The last step among all that was saved."""
        self._made = Made()

    @property
    def tensors(self) -> Tensors | None:
        """None as long as nothing was saved."""
        if self._tensors is None and tensors.are_there(self._folder):
            self._tensors = Tensors(self._folder)
            self._rules = [asked.kind(self._tensors, asked.parameters) for asked in self._asked]
        return self._tensors

    def hear(self) -> list[Verdict]:
        """What the steps saved since the last time brought up."""
        before = set(self._over)
        saved = self.tensors
        for step in saved.steps() if saved else ():
            if saved is not None and step > self.heard:
                self._made.go_on(step, *saved.at(step))
                self._hear_all(step)
                self.heard = step
        return [verdict for index, verdict in self._over.items() if index not in before]

    @property
    def made(self) -> int:
        """Training steps, as far as was heard."""
        return self._made.steps

    def wait(self, silent: float, made: int) -> list[Verdict]:
        """What it brings up that for so many seconds no step came, after `made` of them."""
        found = {
            index: Verdict(asked.name, ISSUE, missed, made, advice=asked.kind.advice)
            for index, asked in enumerate(self._asked)
            if index not in self._over
            if (missed := asked.kind.missed(silent, asked.parameters))
        }
        self._over |= found
        return list(found.values())

    def _hear_all(self, step: int) -> None:
        for index, rule in enumerate(self._rules):
            if index not in self._over:
                verdict = self._hear_one(rule, step)
                if verdict:
                    self._over[index] = verdict

    def _hear_one(self, rule: Diagnosis, step: int) -> Verdict | None:
        try:
            rule.invoke(step)
        except RuleEvaluationConditionMet:
            found = rule.found
            assert found is not None
            return Verdict(
                rule.rule_name, ISSUE, found.sentence, self.made, found.tensors, rule.advice
            )
        except Exception as error:
            broke = f"The rule itself broke: {type(error).__name__}: {error}"
            return Verdict(rule.rule_name, ERROR, broke, self.made)
        return None

    def verdicts(self) -> list[Verdict]:
        """One a rule, as things stand."""
        if not self._rules:
            nothing = "Nothing was saved."
            others = [Verdict(asked.name, NOT_APPLICABLE, nothing) for asked in self._asked]
        else:
            others = [_unless_found(rule) for rule in self._rules]
        return [self._over.get(index, other) for index, other in enumerate(others)]


def _unless_found(rule: Diagnosis) -> Verdict:
    lacks = rule.lacks()
    if lacks:
        return Verdict(rule.rule_name, NOT_APPLICABLE, lacks)
    return Verdict(rule.rule_name, NO_ISSUE, f"Looked {rule.looks} times.")


def asked_for(configurations: Sequence[Mapping[str, Any]]) -> list[Asked | str]:
    """DebugRuleConfigurations; the name alone of a rule that there is not."""
    known = {rule.__name__: rule for rule in EVERY}
    found: list[Asked | str] = []
    for each in configurations:
        parameters = each.get("RuleParameters", {})
        name = parameters.get("rule_to_invoke", each["RuleConfigurationName"])
        found.append(Asked(known[name], parameters) if name in known else name)
    return found
