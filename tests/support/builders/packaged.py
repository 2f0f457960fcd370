"""The template that osls makes of serverless.yml for a stage, without any cloud."""

import json
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from domain.model import EndpointMode
from infra import shipped
from infra.setup import node
from infra.stacks import bundle, stage_parameters

Template = dict[str, Any]

STORAGE = shipped.REPOSITORY / "infra" / "stacks" / "storage.yml"


KEY = "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
"""A customer's own."""


@cache
def packaged(
    stage: str,
    key: str = "none",
    notice_email: str = "",
    budget: str = "0",
    mode: EndpointMode = "instance",
) -> Template:
    """As CloudFormation reads it: its conditions are decided."""
    bundle.build(bundle.BUNDLE)
    environment = node.environment() | {
        "SORTBOX_BUCKET": f"sortbox-{stage}-111122223333-eu-west-1",
        "AWS_REGION": "eu-west-1",
    }
    with TemporaryDirectory() as folder, node.alone():
        command = node.osls("package", "--stage", stage, "--package", folder)
        command += ["--param", f"kmsKey={key}"]
        if notice_email:  # osls takes no empty value
            command += ["--param", f"noticeEmail={notice_email}"]
        command += ["--param", f"budgetDollars={budget}", "--param", f"endpoint={mode}"]
        done = subprocess.run(
            command, cwd=shipped.REPOSITORY, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        template = Path(folder, "cloudformation-template-update-stack.json").read_text()
    params = stage_parameters.params(shipped.REPOSITORY / "serverless.yml", stage)
    state = str(params["dashboardState"])
    parameters = {"KmsKey": key, "DashboardState": state, "NoticeEmail": notice_email}
    parameters |= {"BudgetDollars": budget}
    return resolved(json.loads(template), parameters)


@cache
def storage(key: str = "none", keep_days: str = "0") -> Template:
    parameters = {"KmsKey": key, "InboxKeepDays": keep_days}
    return resolved(yaml.load(STORAGE.read_text(), _CloudFormation), parameters)


def plain(path: Path) -> Template:
    """A template as it is written."""
    template: Template = yaml.load(path.read_text(), _CloudFormation)
    return template


NO_VALUE = {"Ref": "AWS::NoValue"}


def resolved(template: Template, parameters: dict[str, str]) -> Template:
    """Without conditions, nor what they leave out; parameters that are given have their values."""
    decided = _Decided(template.get("Conditions", {}), parameters)
    made: Template = decided.value({n: entry for n, entry in template.items() if n != "Conditions"})
    for section in {"Resources", "Outputs"} & made.keys():
        made[section] = {
            name: {n: part for n, part in entry.items() if n != "Condition"}
            for name, entry in made[section].items()
            if "Condition" not in entry or decided.holds(entry["Condition"])
        }
    return made


@dataclass(frozen=True)
class _Decided:
    conditions: dict[str, Any]
    parameters: dict[str, str]

    def holds(self, condition: Any) -> bool:
        match condition:
            case str(name):
                return self.holds(self.conditions[name])
            case {"Fn::Not": [inner]}:
                return not self.holds(inner)
            case {"Fn::Equals": [one, other]}:
                return bool(self.value(one) == self.value(other))
            case _:
                raise ValueError(f"unexpected {condition}")

    def value(self, of: Any) -> Any:
        match of:
            case {"Fn::If": [condition, then, otherwise]}:
                return self.value(then if self.holds(condition) else otherwise)
            case {"Ref": str(name)} if name in self.parameters:
                return self.parameters[name]
            case dict():
                kept = {name: self.value(entry) for name, entry in of.items()}
                return {name: entry for name, entry in kept.items() if entry != NO_VALUE}
            case list():
                return [entry for entry in map(self.value, of) if entry != NO_VALUE]
            case _:
                return of


def of_type(template: Template, kind: str) -> dict[str, Template]:
    """Properties by logical id."""
    return {
        name: resource["Properties"]
        for name, resource in template["Resources"].items()
        if resource["Type"] == kind
    }


class _CloudFormation(yaml.SafeLoader):
    """YAML with `!Sub` and its kin, read as the JSON form has them."""


def _intrinsic(loader: yaml.Loader, suffix: str, tagged: yaml.Node) -> Any:
    name = suffix if suffix == "Ref" else f"Fn::{suffix}"
    match tagged:
        case yaml.ScalarNode():
            value = loader.construct_scalar(tagged)
            return {name: str(value).split(".", 1) if suffix == "GetAtt" else value}
        case yaml.SequenceNode():
            return {name: loader.construct_sequence(tagged, deep=True)}
        case _:
            raise ValueError(f"unexpected {tagged}")


_CloudFormation.add_multi_constructor("!", _intrinsic)
