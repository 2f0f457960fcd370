"""The Debugger members of a CreateTrainingJob request: hook, rules, profiler."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import time

from infra.local.sagemaker.containers.transfers import Location
from infra.local.sagemaker.core.store import Record

REPORT = "ProfilerReport"
"""The only profiler rule that is evaluated: it covers all the others."""

DETAILS_CHARACTERS = 1024


@dataclass(frozen=True, slots=True)
class DebuggerRequest:
    job: str
    role: str
    hook: Record | None
    rules: tuple[Record, ...]
    profiler: Record | None
    profiler_rules: tuple[Record, ...]
    output: Location
    """`<S3OutputPath>/<job>`: the default location of reports."""

    @classmethod
    def of(cls, job: Record) -> "DebuggerRequest":
        """Parse the members. Raises ValueError for a configuration that cannot be evaluated."""
        rules = tuple(job.get("DebugRuleConfigurations", []))
        hook = job.get("DebugHookConfig")
        if rules and hook is None:
            raise ValueError("DebugRuleConfigurations need a DebugHookConfig.")
        output = Location.parse(job["OutputDataConfig"]["S3OutputPath"])
        return cls(
            job["TrainingJobName"],
            job["RoleArn"],
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
        return _below(Location.parse(self.hook["S3OutputPath"]), f"{self.job}/debug-output")

    def report_of(self, rule: Record) -> Location:
        name = rule["RuleConfigurationName"]
        uri = rule.get("S3OutputPath")
        return (
            _below(Location.parse(uri), name) if uri else _below(self.output, f"rule-output/{name}")
        )

    def configuration(self, tensors: Path) -> Mapping[str, object]:
        """The contents of the files that SageMaker writes beside hyperparameters.json, by name."""
        files: dict[str, object] = {}
        if self.hook is not None:
            files["debughookconfig"] = {**self.hook, "LocalPath": str(tensors)}
        if self.profiler is not None:
            files["profilerconfig"] = self.profiler
        return files

    def initial_statuses(self) -> Record:
        """The initial statuses: every rule is in progress; empty without rules."""
        return {
            **_statuses("DebugRuleEvaluationStatuses", self.rules),
            **_statuses("ProfilerRuleEvaluationStatuses", self.profiler_rules),
        }

    def _checked(self) -> "DebuggerRequest":
        names = [rule["RuleConfigurationName"] for rule in (*self.rules, *self.profiler_rules)]
        if len(set(names)) < len(names):
            raise ValueError(f"Rule configuration names must be unique: {', '.join(names)}")
        return self


def status(rule: Record, state: str, details: str = "") -> Record:
    """An item of DebugRuleEvaluationStatuses."""
    optional = {"StatusDetails": details[:DETAILS_CHARACTERS]} if details else {}
    return {
        "RuleConfigurationName": rule["RuleConfigurationName"],
        "RuleEvaluationStatus": state,
        "LastModifiedTime": time(),
        **optional,
    }


def stops_training(rule: Record) -> bool:
    """Whether the rule stops the job when it finds an issue."""
    actions = json.loads(rule.get("RuleParameters", {}).get("action_json", "[]"))
    actions = actions if isinstance(actions, list) else [actions]
    return any(str(action.get("name", "")).lower() == "stoptraining" for action in actions)


def _statuses(member: str, rules: Sequence[Record]) -> Record:
    return {member: [status(rule, "InProgress") for rule in rules]} if rules else {}


def _below(folder: Location, name: str) -> Location:
    return Location(folder.bucket, f"{folder.key.rstrip('/')}/{name}".lstrip("/"))
