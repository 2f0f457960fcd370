"""The template that osls makes of serverless.yml for a stage, without any cloud."""

import json
import subprocess
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from infra import bundle, node

Template = dict[str, Any]

STORAGE = bundle.REPOSITORY / "infra" / "storage.yml"


@cache
def packaged(stage: str) -> Template:
    bundle.build(bundle.BUNDLE)
    environment = node.environment() | {
        "SORTBOX_BUCKET": f"sortbox-{stage}-111122223333-eu-west-1",
        "AWS_REGION": "eu-west-1",
    }
    with TemporaryDirectory() as folder, node.alone():
        command = node.osls("package", "--stage", stage, "--package", folder)
        done = subprocess.run(
            command, cwd=bundle.REPOSITORY, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stdout + done.stderr
        template = Path(folder, "cloudformation-template-update-stack.json").read_text()
    parsed: Template = json.loads(template)
    return parsed


@cache
def storage() -> Template:
    template: Template = yaml.load(STORAGE.read_text(), _CloudFormation)
    return template


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
