"""Evaluates the rules during training: the result of each, at which step, for which tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.debugger import tensors
from training.debugger.report import ERROR, ISSUE, NO_ISSUE, NOT_APPLICABLE, RuleResult
from training.debugger.rules.base import DebuggerRule
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
from training.debugger.tensors import SavedTensors, StepCounter

ALL_RULES: tuple[type[DebuggerRule], ...] = (
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
class RuleConfig:
    """A rule and its parameters, from DebugRuleConfigurations or Sortbox's defaults."""

    kind: type[DebuggerRule]
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.kind.__name__


DEFAULT_CONFIGS = tuple(RuleConfig(rule) for rule in ALL_RULES)


class RuleEvaluator:
    """Evaluates each saved step once, and a rule until it finds an issue or fails."""

    def __init__(self, folder: Path, configs: Sequence[RuleConfig] = DEFAULT_CONFIGS) -> None:
        self._folder = folder
        self._configs = configs
        self._tensors: SavedTensors | None = None
        self._rules: list[DebuggerRule] = []
        self._results: dict[int, RuleResult] = {}
        self.last_step = -1
        """The last evaluated step, counted over all modes."""
        self._counter = StepCounter()

    @property
    def tensors(self) -> SavedTensors | None:
        """None until something is saved."""
        if self._tensors is None and tensors.exist(self._folder):
            self._tensors = SavedTensors(self._folder)
            self._rules = [
                config.kind(self._tensors, config.parameters) for config in self._configs
            ]
        return self._tensors

    def evaluate(self) -> list[RuleResult]:
        """The new results of the steps saved since the last call."""
        before = set(self._results)
        saved = self.tensors
        for step in saved.steps() if saved else ():
            if saved is not None and step > self.last_step:
                self._counter.advance(step, *saved.mode_at(step))
                self._evaluate_step(step)
                self.last_step = step
        return [verdict for index, verdict in self._results.items() if index not in before]

    @property
    def steps_made(self) -> int:
        """Training steps up to the last evaluated one."""
        return self._counter.steps

    def check_silence(self, idle_seconds: float, made: int) -> list[RuleResult]:
        """The new results because no step came for `idle_seconds` after `made` steps."""
        results = {
            index: RuleResult(config.name, ISSUE, missed, made, advice=config.kind.advice)
            for index, config in enumerate(self._configs)
            if index not in self._results
            if (missed := config.kind.check_silence(idle_seconds, config.parameters))
        }
        self._results |= results
        return list(results.values())

    def _evaluate_step(self, step: int) -> None:
        for index, rule in enumerate(self._rules):
            if index not in self._results:
                verdict = self._evaluate_rule(rule, step)
                if verdict:
                    self._results[index] = verdict

    def _evaluate_rule(self, rule: DebuggerRule, step: int) -> RuleResult | None:
        try:
            rule.invoke(step)
        except RuleEvaluationConditionMet:
            finding = rule.finding
            assert finding is not None
            return RuleResult(
                rule.rule_name,
                ISSUE,
                finding.sentence,
                self.steps_made,
                finding.tensors,
                rule.advice,
            )
        except Exception as error:
            broke = f"The rule failed: {type(error).__name__}: {error}"
            return RuleResult(rule.rule_name, ERROR, broke, self.steps_made)
        return None

    def results(self) -> list[RuleResult]:
        """The current result of every rule."""
        if not self._rules:
            nothing = "Nothing was saved."
            others = [RuleResult(config.name, NOT_APPLICABLE, nothing) for config in self._configs]
        else:
            others = [_result_without_finding(rule) for rule in self._rules]
        return [self._results.get(index, other) for index, other in enumerate(others)]


def _result_without_finding(rule: DebuggerRule) -> RuleResult:
    lacks = rule.missing_data()
    if lacks:
        return RuleResult(rule.rule_name, NOT_APPLICABLE, lacks)
    return RuleResult(rule.rule_name, NO_ISSUE, f"Checked {rule.checks} times.")


def parse_configurations(configurations: Sequence[Mapping[str, Any]]) -> list[RuleConfig | str]:
    """DebugRuleConfigurations; for an unknown rule its name."""
    known = {rule.__name__: rule for rule in ALL_RULES}
    configs: list[RuleConfig | str] = []
    for configuration in configurations:
        parameters = configuration.get("RuleParameters", {})
        name = parameters.get("rule_to_invoke", configuration["RuleConfigurationName"])
        configs.append(RuleConfig(known[name], parameters) if name in known else name)
    return configs
