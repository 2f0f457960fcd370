"""Evaluates the rules in a process of their own, on tensors that another saves: a rule job.

`python -m training.managed_debugger.rule_job TENSORS RULES STATUSES`: a folder that smdebug writes,
a file with DebugRuleConfigurations, and the file to which their DebugRuleEvaluationStatuses are
written. It ends when training has ended and all steps are evaluated.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.debugger.evaluator import RuleConfig, RuleEvaluator, parse_configurations
from training.debugger.report import ERROR, NO_ISSUE, NOT_APPLICABLE, RuleResult

POLL_SECONDS = 0.5
END_FILE = "training_job_end.ts"

Statuses = list[Mapping[str, str]]


def evaluate(tensors: Path, configurations: Sequence[Mapping[str, Any]], statuses: Path) -> None:
    configs = parse_configurations(configurations)
    evaluator = RuleEvaluator(
        tensors, [config for config in configs if isinstance(config, RuleConfig)]
    )
    ended, last_step, since = False, evaluator.last_step, time.monotonic()
    while not ended:
        ended = (tensors / END_FILE).exists()  # before the evaluation, which then covers all steps
        evaluator.evaluate()
        if evaluator.last_step != last_step:
            last_step, since = evaluator.last_step, time.monotonic()
        elif last_step >= 0 and not ended:  # preparation before the first step takes long
            evaluator.check_silence(time.monotonic() - since, evaluator.steps_made)
        _write(statuses, _statuses(configurations, configs, evaluator, ended))
        time.sleep(0 if ended else POLL_SECONDS)


def _statuses(
    configurations: Sequence[Mapping[str, Any]],
    configs: Sequence[RuleConfig | str],
    evaluator: RuleEvaluator,
    ended: bool,
) -> Statuses:
    known = iter(evaluator.results())
    results = [
        next(known) if isinstance(config, RuleConfig) else _unknown(config) for config in configs
    ]
    return [
        {
            "RuleConfigurationName": configuration["RuleConfigurationName"],
            "RuleEvaluationStatus": _state(result, ended),
            "StatusDetails": _details(result, ended),
        }
        for configuration, result in zip(configurations, results, strict=True)
    ]


def _state(result: RuleResult, ended: bool) -> str:
    """SageMaker has no state for a rule that is not applicable."""
    if result.state in (NO_ISSUE, NOT_APPLICABLE):
        return NO_ISSUE if ended else "InProgress"
    return result.state


def _details(result: RuleResult, ended: bool) -> str:
    if result.state == NOT_APPLICABLE:
        return f"Not applicable: {result.sentence}" if ended else ""
    return result.sentence if result.state != NO_ISSUE else ""


def _unknown(name: str) -> RuleResult:
    return RuleResult(name, ERROR, f"Unknown rule: {name}.")


def _write(path: Path, statuses: Statuses) -> None:
    part = path.with_suffix(".part")
    part.write_text(json.dumps(statuses))
    part.replace(path)


if __name__ == "__main__":
    folder, rules, answers = map(Path, sys.argv[1:])
    evaluate(folder, json.loads(rules.read_text()), answers)
