"""What CreateTrainingJob asks of SageMaker Debugger: its hook, its rules, its profiler."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import time

from infra.local.sagemaker.containers.transfers import Location
from infra.local.sagemaker.core.store import Record

REPORT = "ProfilerReport"
"""The only profiler rule that is evaluated: it holds what all the others find."""

DETAILS = 1024


@dataclass(frozen=True, slots=True)
class DebugPlan:
    hook: Record | None
    rules: tuple[Record, ...]
    profiler: Record | None
    profiler_rules: tuple[Record, ...]
    output: Location
    """`<S3OutputPath>/<job>`: below it lies what names no place of its own."""

    @classmethod
    def of(cls, job: Record) -> "DebugPlan":
        """Raises ValueError for what cannot be evaluated."""
        rules = tuple(job.get("DebugRuleConfigurations", []))
        hook = job.get("DebugHookConfig")
        if rules and hook is None:
            raise ValueError("DebugRuleConfigurations need a DebugHookConfig.")
        output = Location.parse(job["OutputDataConfig"]["S3OutputPath"])
        return cls(
            hook,
            rules,
            job.get("ProfilerConfig"),
            tuple(job.get("ProfilerRuleConfigurations", [])),
            _below(output, job["TrainingJobName"]),
        )._checked()

    @property
    def tensors(self) -> Location | None:
        if self.hook is None:
            return None
        place = Location.parse(self.hook["S3OutputPath"])
        return _below(place, f"{self.output.key.rpartition('/')[2]}/debug-output")

    def report_of(self, rule: Record) -> Location:
        name = rule["RuleConfigurationName"]
        place = rule.get("S3OutputPath")
        return (
            _below(Location.parse(place), name)
            if place
            else _below(self.output, f"rule-output/{name}")
        )

    def configuration(self, tensors: Path) -> Mapping[str, object]:
        """By file name: what SageMaker writes beside hyperparameters.json."""
        files: dict[str, object] = {}
        if self.hook is not None:
            files["debughookconfig"] = {**self.hook, "LocalPath": str(tensors)}
        if self.profiler is not None:
            files["profilerconfig"] = self.profiler
        return files

    def begun(self) -> Record:
        """Every rule is in progress; nothing, where none was asked for."""
        return {
            **_statuses("DebugRuleEvaluationStatuses", self.rules),
            **_statuses("ProfilerRuleEvaluationStatuses", self.profiler_rules),
        }

    def _checked(self) -> "DebugPlan":
        names = [each["RuleConfigurationName"] for each in (*self.rules, *self.profiler_rules)]
        if len(set(names)) < len(names):
            raise ValueError(f"Rule configuration names must be unique: {', '.join(names)}")
        return self


def status(rule: Record, state: str, details: str = "") -> Record:
    """An item of DebugRuleEvaluationStatuses."""
    told = {"StatusDetails": details[:DETAILS]} if details else {}
    return {
        "RuleConfigurationName": rule["RuleConfigurationName"],
        "RuleEvaluationStatus": state,
        "LastModifiedTime": time(),
        **told,
    }


def stops(rule: Record) -> bool:
    """Whether the job is to be stopped when the rule finds an issue."""
    actions = json.loads(rule.get("RuleParameters", {}).get("action_json", "[]"))
    each = actions if isinstance(actions, list) else [actions]
    return any(str(action.get("name", "")).lower() == "stoptraining" for action in each)


def _statuses(member: str, rules: Sequence[Record]) -> Record:
    return {member: [status(each, "InProgress") for each in rules]} if rules else {}


def _below(place: Location, name: str) -> Location:
    return Location(place.bucket, f"{place.key.rstrip('/')}/{name}".lstrip("/"))
