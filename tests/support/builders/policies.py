"""The policies of the packaged template's roles, as CloudFormation would put them into IAM."""

import re
from typing import Any

from infra.local.account import ACCOUNT, REGION
from tests.support.builders.packaged import Template, of_type, packaged

PSEUDO = {"Partition": "aws", "AccountId": ACCOUNT, "Region": REGION}


def roles() -> dict[str, Template]:
    """Properties by logical id, with every reference to the account replaced by its value."""
    templates: dict[str, Template] = _substituted(of_type(packaged("local"), "AWS::IAM::Role"))
    return templates


def statements(role: str) -> list[dict[str, Any]]:
    (policy,) = roles()[role]["Policies"]
    statement: list[dict[str, Any]] = policy["PolicyDocument"]["Statement"]
    return statement


def _substituted(value: Any) -> Any:
    match value:
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{AWS::(\w+)\}", lambda name: PSEUDO[name[1]], text)
        case {"Ref": str(name)} if name.startswith("AWS::"):
            return PSEUDO[name.removeprefix("AWS::")]
        case dict():
            return {name: _substituted(entry) for name, entry in value.items()}
        case list():
            return [_substituted(entry) for entry in value]
        case _:
            return value
