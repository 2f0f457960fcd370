"""The policies of the console allow each call that its pages make, and nothing else."""

import ast
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name
from botocore.history import get_global_history_recorder

from console import policy
from console.context import Console
from infra.shipped import REPOSITORY
from infra.verify import permissions
from infra.verify.calls import CallRecorder
from tests.support.consoles.operated import JOB, log_epochs, operated_console
from tests.support.worlds.consoles import client

PAGE = REPOSITORY / "docs" / "reference" / "permissions.md"
PAGES = (
    *("/drop", "/watch", "/look", "/corrections", "/train", "/models", "/operate", "/actions"),
    *("/reports/", f"/train?job={JOB}", "/train?job=other", f"/api/jobs/{JOB}/curves"),
    *("/api/watch", "/api/watch?key=trip", "/api/answers", "/api/corrections/labels"),
    *("/original?image=inbox%2Fa.jpg", "/api/answer?image=inbox%2Fa.jpg"),
)
ELSEWHERE = {
    "cloudformation:DescribeStacks": "names the bucket when the console starts",
    "sagemaker:ListTrainingJobsForHyperParameterTuningJob": "the trials of a search",
    "sagemaker-runtime:InvokeEndpoint": "thumbnails",
    "sagemaker:DescribeModelPackage": "a version that is in the registry",
    "sts:GetCallerIdentity": "who corrects, and whose account it is",
}
"""What these pages do not call over this stage, and what does."""

SERVICES = (
    *("cloudformation", "cloudwatch", "logs", "s3", "sagemaker", "sagemaker-runtime", "sqs", "sts"),
)
STARTED = tuple(
    path
    for folder in ("training/launch", "infra/models", "infra/review")
    for path in (REPOSITORY / folder).rglob("*.py")
    if path.name != "acceptance.py"  # of `verify`, which no button runs
) + tuple(
    REPOSITORY / path
    for path in (
        *("aws/bucket.py", "aws/active_model.py", "infra/redrive.py", "infra/reclassify.py"),
        *("infra/stage.py", "infra/diagnostics/doctor.py", "infra/diagnostics/findings.py"),
    )
)
"""What the commands of the buttons call AWS by."""

BY_LIBRARIES = {
    "s3:AbortMultipartUpload": "boto3's transfers, of one that fails",
    "sagemaker:CreateTrainingJob": "the SageMaker SDK's ModelTrainer",
    "sagemaker:CreateHyperParameterTuningJob": "the SageMaker SDK's HyperparameterTuner",
    "sqs:SendMessage": "SendMessageBatch and reclassify",
}
BENEATH = tuple(
    REPOSITORY / path
    for path in (
        *("aws/bucket.py", "infra/stage.py", "infra/review/corrections.py"),
        *("functions/endpoint/thumbnails.py", "infra/diagnostics/doctor.py"),
    )
)
"""What the console calls, and the words of which are its own calls of AWS."""


@cache
def operations(service: str) -> frozenset[str]:
    loader = botocore.session.get_session().get_component("data_loader")
    return frozenset(loader.load_service_model(service, "service-2")["operations"])


@cache
def methods_of(path: Path) -> frozenset[str]:
    """Names of methods that a module calls, and of the lists that it reads page by page."""
    calls = [one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.Call)]
    names = {one.func.attr for one in calls if isinstance(one.func, ast.Attribute)}
    words = {
        word.value
        for one in calls
        for word in one.args
        if isinstance(word, ast.Constant) and isinstance(word.value, str)
    }
    return frozenset(names | words)


@pytest.fixture
def console(tmp_path: Path) -> Iterator[Console]:
    with operated_console(tmp_path / "console", read_only=True) as console:
        yield console


@contextmanager
def recording() -> Iterator[set[str]]:
    recorder, history = CallRecorder(()), get_global_history_recorder()
    history.add_handler(recorder)
    history.enable()
    try:
        yield recorder.operations
    finally:
        history.disable()


def test_a_read_only_console_calls_what_its_policy_allows(console: Console) -> None:
    log_epochs(2)
    for image in ("inbox/a.jpg", "inbox/trip/b.jpg"):
        console.bucket.put(image, "x")
    with recording() as called:
        browser = client(console)
        codes = {path: browser.get(path).status_code for path in PAGES}
    assert {path for path, code in codes.items() if code not in (200, 303, 404)} == set()
    assert called - policy.SHOWS == set(), "add it to console.policy, or do not call it"
    assert policy.SHOWS - called <= set(ELSEWHERE), "nothing is allowed without a use"


def test_each_call_in_the_code_of_the_console_is_allowed() -> None:
    methods = set().union(*map(methods_of, (REPOSITORY / "console").rglob("*.py")))
    allowed = {xform_name(one.partition(":")[2]) for one in policy.SHOWS | policy.TAKES}
    known = {xform_name(name) for service in SERVICES for name in operations(service)}
    called = {name for name in methods & known if "_" in name} - {"get_template"}  # it is Jinja's
    assert called <= allowed, "add it to console.policy, or do not call it"


@pytest.mark.parametrize("operation", sorted({*ELSEWHERE, *policy.TAKES}))
def test_what_no_page_of_the_test_calls_is_called_somewhere(operation: str) -> None:
    sources = [*(REPOSITORY / "console").rglob("*.py"), *BENEATH]
    service, _, name = operation.partition(":")
    assert name in operations(service)
    assert any(xform_name(name) in methods_of(path) for path in sources)


def test_each_call_of_the_buttons_commands_is_allowed_and_has_a_use() -> None:
    methods = set().union(*map(methods_of, STARTED))
    allowed = policy.SHOWS | policy.TAKES | policy.STARTS
    names = {xform_name(one.partition(":")[2]) for one in allowed}
    services = {*SERVICES, "iam", "lambda", "service-quotas"}
    known = {xform_name(name) for service in services for name in operations(service)}
    called = {name for name in methods & known if "_" in name} - {"create_function"}  # SQLite's
    assert called <= names, "add it to console.policy, or do not call it"
    used = {one for one in policy.STARTS if xform_name(one.partition(":")[2]) in methods}
    assert policy.STARTS - used <= set(BY_LIBRARIES), "nothing is allowed without a use"
    assert all(one.partition(":")[2] in operations(one.partition(":")[0]) for one in policy.STARTS)


def test_who_uses_the_buttons_may_do_nothing_that_deployers_may_not() -> None:
    own = {action for one in policy.operator()["Statement"] for action in one["Action"]}
    deployers = permissions.actions()
    assert own - deployers <= {"s3:ListMultipartUploadParts", "sqs:GetQueueAttributes"} | {
        *("sagemaker:InvokeEndpoint", "sagemaker:DescribeModelPackage")
    }
    assert not [one for one in own if one.startswith(("cloudformation:Create", "iam:Create"))]
    assert len(json.dumps(policy.operator(), separators=(",", ":"))) <= permissions.MOST_CHARACTERS


def test_the_policies_are_documented_and_reach_only_ours() -> None:
    text = PAGE.read_text()
    for document in (policy.read_only(), policy.full(), policy.operator()):
        assert json.dumps(document, indent=1) in text, "run `.venv/bin/python -m docs.generate`"
        for statement in document["Statement"]:
            assert not [action for action in statement["Action"] if "*" in action]
    *_, everything = policy.read_only()["Statement"]
    assert everything["Resource"] == ["*"]
    assert {action.partition(":")[2][:4] for action in everything["Action"]} <= {"List", "Desc"}
    writes = policy.full()["Statement"][-1]
    assert writes["Resource"] == [
        "arn:aws:s3:::sortbox-*/inbox/*",
        "arn:aws:s3:::sortbox-*/training/corrections/*",
    ]
    assert not {"s3:PutObject", "s3:DeleteObject"} & {
        action for one in policy.read_only()["Statement"] for action in one["Action"]
    }
