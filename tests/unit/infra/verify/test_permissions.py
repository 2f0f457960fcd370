"""The policy that the documentation states: it covers each call, and holds nothing unused."""

import ast
import json
import re
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from infra.shipped import REPOSITORY
from infra.verify import permissions
from infra.verify.calls import start_recording

PAGE = REPOSITORY / "docs" / "reference" / "permissions.md"
STACKS = REPOSITORY / "infra" / "stacks"
BY_OSLS = {
    *("AWS::Lambda::Function", "AWS::Lambda::EventSourceMapping", "AWS::Lambda::Permission"),
    *("AWS::Logs::LogGroup", "AWS::Events::Rule"),
}
"""What osls makes of the functions in serverless.yml and their events."""

NOT_OPERATIONS = {
    *("iam:PassRole", "sagemaker:AddTags", "s3:ListBucket", "s3:ListBucketVersions"),
    *("s3:GetObjectVersion", "s3:DeleteObjectVersion", "s3:PutLifecycleConfiguration"),
    *("s3:PutEncryptionConfiguration", "s3:PutBucketPublicAccessBlock"),
    *("budgets:ModifyBudget", "budgets:ViewBudget"),
}
"""Actions that are no operation's name; the rest of the policy is spelt as botocore has it."""

BOTOCORE = {"servicequotas": "service-quotas"}


def documented() -> list[dict[str, Any]]:
    match = re.search(r"```json\n(.+?)\n```", PAGE.read_text(), re.DOTALL)
    assert match is not None
    statements: list[dict[str, Any]] = json.loads(match[1])["Statement"]
    return statements


def allowed() -> list[str]:
    return [action for statement in documented() for action in statement["Action"]]


@cache
def operations(service: str) -> frozenset[str]:
    loader = botocore.session.get_session().get_component("data_loader")
    model = loader.load_service_model(BOTOCORE.get(service, service), "service-2")
    return frozenset(model["operations"])


@pytest.mark.parametrize("operation", permissions.recorded())
def test_each_call_that_was_recorded_is_allowed(operation: str) -> None:
    missing = set(permissions.actions_of(operation)) - set(allowed())
    assert not missing, "run `.venv/bin/python -m docs.generate`"


def test_nothing_is_allowed_without_a_use() -> None:
    called = {
        action
        for operation in permissions.recorded()
        for action in permissions.actions_of(operation)
    }
    made = {action for needed in permissions.RESOURCES.values() for action in needed}
    by_hand = {*permissions.OSLS, *permissions.SOMETIMES, *permissions.IMAGE}
    assert set(allowed()) == called | made | by_hand
    assert len(allowed()) == len(set(allowed())), "each action is in one statement"


def test_no_action_is_a_pattern_and_few_resources_are_everything() -> None:
    assert not [action for action in allowed() if "*" in action]
    wide = [statement for statement in documented() if statement["Resource"] == "*"]
    assert len(wide) == 1
    for statement in documented():
        if statement not in wide:
            assert all("sortbox" in arn or "event-source-mapping" in arn or "/aws/sagemaker/" in arn
                       for arn in statement["Resource"])  # fmt: skip


def test_actions_are_spelt_as_aws_does() -> None:
    for action in set(allowed()) - NOT_OPERATIONS:
        service, _, name = action.partition(":")
        assert name in operations(service), action


def test_the_resource_types_are_those_of_the_templates() -> None:
    texts = [path.read_text() for path in STACKS.glob("*.yml") if path.name != "key.yml"]
    types = {kind for text in texts for kind in re.findall(r"Type: (AWS::\w+::\w+)", text)}
    assert types | BY_OSLS == set(permissions.RESOURCES)


def test_what_the_image_calls_is_what_its_module_calls() -> None:
    tree = ast.parse((STACKS / "image.py").read_text())
    methods = {
        call.func.attr
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
    }
    for service in ("codebuild", "ecr"):
        called = {name for name in operations(service) if xform_name(name) in methods}
        listed = {a.partition(":")[2] for a in permissions.IMAGE if a.startswith(f"{service}:")}
        assert called == listed


def test_a_managed_policy_holds_it() -> None:
    text = json.dumps(permissions.policy(), separators=(",", ":"))
    assert len(text) <= permissions.MOST_CHARACTERS


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("s3:PutObject", "arn:aws:s3:::sortbox-dev-111122223333-eu-west-1/inbox/cat.jpg"),
        ("sagemaker:CreateEndpoint", "arn:aws:sagemaker:eu-west-1:1:endpoint/sortbox-dev"),
        ("iam:PassRole", "arn:aws:iam::1:role/sortbox-dev-ModelRole-X"),
    ],
)
def test_ours_are_within_the_statements(action: str, resource: str) -> None:
    [statement] = [one for one in documented() if action in one["Action"]]
    assert any(fnmatchcase(resource, pattern) for pattern in statement["Resource"])
    assert not any(fnmatchcase("arn:aws:s3:::other", one) for one in statement["Resource"])


def test_calls_of_every_client_are_recorded() -> None:
    recorder = start_recording()
    session = botocore.session.get_session()
    client: Any = session.create_client(
        "sts",
        region_name="eu-west-1",
        aws_access_key_id="none",
        aws_secret_access_key="none",
        endpoint_url="http://127.0.0.1:9",
        config=botocore.config.Config(retries={"max_attempts": 0}),
    )
    with pytest.raises(botocore.exceptions.EndpointConnectionError):
        client.get_caller_identity()
    assert recorder.operations == {"sts:GetCallerIdentity"}
