"""One role a function, and each no more than it needs."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest

from domain.keys import ACTIVE_MODEL, JobName, RunKeys, archive_key, evaluation_key
from domain.model import ModelId
from infra.stage import Stage
from tests.support.builders.packaged import Template, of_type, packaged

FUNCTIONS = ("OnUploadRole", "OnFolderRole", "OnPageRole", "OnScheduleRole")
NAMES = (*FUNCTIONS, "ModelRole", "TrainingRole", "ScheduleRole")
TAKE = {
    "sqs:ReceiveMessage",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:ChangeMessageVisibility",
}
LOG = {"logs:CreateLogStream", "logs:PutLogEvents"}

WITHOUT_A_RESOURCE = {"ecr:GetAuthorizationToken", "cloudwatch:PutMetricData"}
"""Actions that AWS lets nobody bind to a resource."""


def roles() -> dict[str, Template]:
    return of_type(packaged("dev"), "AWS::IAM::Role")


def statements(role: Template) -> list[Template]:
    return [
        statement
        for policy in role["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]


def grants(role: Template) -> Iterator[tuple[str, str]]:
    """(action, resource), the resource's ARN without partition, region and account."""
    for statement in statements(role):
        for action in _many(statement["Action"]):
            for resource in _many(statement["Resource"]):
                yield action, _short(resource)


def _many(one_or_more: Any) -> list[Any]:
    return one_or_more if isinstance(one_or_more, list) else [one_or_more]


def _short(resource: Any) -> str:
    match resource:
        case {"Fn::GetAtt": [str(name), "Arn"]}:
            return name
        case {"Fn::Sub": str(arn)}:
            for pseudo in ("${AWS::Partition}", "${AWS::Region}", "${AWS::AccountId}"):
                arn = arn.replace(pseudo, "")
            return (
                arn.removeprefix("arn::").replace("s3:::sortbox-dev--", "s3:").replace(":::", ":")
            )
        case _:
            return str(resource)


@pytest.mark.parametrize("name", NAMES)
def test_no_action_is_a_wildcard_and_no_resource_is_everything(name: str) -> None:
    for action, resource in grants(roles()[name]):
        assert "*" not in action
        assert resource != "*" or action in WITHOUT_A_RESOURCE


@pytest.mark.parametrize("name", NAMES)
def test_no_role_passes_a_role_or_administers_anything(name: str) -> None:
    for action, _ in grants(roles()[name]):
        service, verb = action.split(":")
        assert service in {"s3", "sqs", "sagemaker", "logs", "ecr", "cloudwatch", "events"}
        assert verb != "PassRole"
        assert not verb.startswith("Delete") or verb in {"DeleteMessage", "DeleteObject"}


def test_each_function_has_a_role_of_its_own() -> None:
    assert set(roles()) == set(NAMES)
    functions = of_type(packaged("dev"), "AWS::Lambda::Function")
    worn = {name: properties["Role"]["Fn::Sub"] for name, properties in functions.items()}
    expected = {name: f"${{{name.removesuffix('LambdaFunction')}Role.Arn}}" for name in functions}
    assert worn == expected


@pytest.mark.parametrize(
    ("role", "writes"),
    [
        (
            "OnUploadRole",
            {
                *(("Put", "outbox/*"), ("Delete", "outbox/*")),
                *(("Put", "work/beats/*"), ("Put", "work/large/*"), ("Put", "work/timeouts/*")),
            },
        ),
        (
            "OnFolderRole",
            {
                *(("Put", "work/*"), ("Put", "outbox/*"), ("Delete", "outbox/*")),
                ("Put", "inbox/*/*"),  # what archives hold, and no single image
                *(("Delete", f"work/{each}/*") for each in ("claims", "leases", "beats")),
                ("Delete", "work/archives/*"),
                *(("Delete", "work/slots/*"), ("Delete", "work/tickets/*")),
                ("Delete", "work/large/*"),
            },
        ),
        (
            "OnPageRole",
            {
                *(("Put", "outbox/*"), ("Delete", "outbox/*")),
                *(("Put", "work/runs/*"), ("Put", "work/timeouts/*")),
            },
        ),
        ("OnScheduleRole", {("Put", "work/tick.txt")}),
        ("ModelRole", {("Put", "work/runs/*/output/*")}),
        ("ScheduleRole", set()),
        ("TrainingRole", {("Put", "training/jobs/*"), ("Put", "training/checkpoints/*")}),
    ],
)
def test_nobody_writes_where_people_do(role: str, writes: set[tuple[str, str]]) -> None:
    found = {
        (action.removeprefix("s3:").removesuffix("Object"), resource.partition("/")[2])
        for action, resource in grants(roles()[role])
        if action in ("s3:PutObject", "s3:DeleteObject")
    }
    assert found == writes


def test_whoever_publishes_conditionally_may_read_and_list_what_it_publishes() -> None:
    """Without s3:ListBucket an absent key is 403; so it is where the prefix is a condition."""
    for role in ("OnUploadRole", "OnFolderRole", "OnPageRole"):
        assert ("s3:GetObject", "s3:/outbox/*") in grants(roles()[role])
        assert ("s3:ListBucket", "s3:") in grants(roles()[role])
        (listing,) = [s for s in statements(roles()[role]) if s["Action"] == "s3:ListBucket"]
        assert "Condition" not in listing


def test_functions_reach_the_endpoint_and_the_jobs_of_their_stage_only() -> None:
    of_sagemaker = {
        (name, action.removeprefix("sagemaker:"), resource)
        for name, role in roles().items()
        for action, resource in grants(role)
        if action.startswith("sagemaker:")
    }
    jobs = "sagemaker:transform-job/sortbox-dev-*"
    assert of_sagemaker == {
        *(
            (role, "InvokeEndpoint", f"sagemaker:endpoint/{name}")
            for role in ("OnUploadRole", "OnPageRole", "OnFolderRole")
            for name in Stage("dev").endpoint_names.values()
        ),
        ("OnFolderRole", "CreateTransformJob", jobs),
        ("OnFolderRole", "DescribeTransformJob", jobs),
        ("OnFolderRole", "AddTags", jobs),
    }


def test_one_function_may_send_events_and_as_sortbox_only() -> None:
    found = [
        (name, statement)
        for name, role in roles().items()
        for statement in statements(role)
        if "events:PutEvents" in statement["Action"]
    ]
    ((name, statement),) = found
    assert name == "OnFolderRole"
    assert statement["Resource"]["Fn::Sub"].endswith(":event-bus/default")
    assert statement["Condition"] == {"ForAllValues:StringEquals": {"events:source": "sortbox"}}, (
        "events:source has many values, one for each entry of the request"
    )


def test_each_function_takes_from_its_own_queue_and_logs_to_its_own_group() -> None:
    own = {"OnUploadRole": "inbox", "OnFolderRole": "FolderQueue", "OnPageRole": "PageQueue"}
    for name, queue in own.items():
        taken_from = {r for action, r in grants(roles()[name]) if action in TAKE}
        backlog = {each for each in taken_from if each.endswith("backlog")}
        assert len(backlog) == (name == "OnUploadRole"), "both lanes of uploads, and nothing else"
        assert len(taken_from - backlog) == 1
        assert (taken_from - backlog).pop().endswith(queue)
    for name in FUNCTIONS:
        groups = {r for action, r in grants(roles()[name]) if action in LOG}
        assert len(groups) == 1
        assert groups.pop().endswith(f"sortbox-dev-o{name[1:].removesuffix('Role')}:*")


def test_only_sagemaker_in_our_account_wears_the_containers_roles() -> None:
    for role in ("ModelRole", "TrainingRole"):
        (statement,) = roles()[role]["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "sagemaker.amazonaws.com"}
        assert statement["Condition"] == {
            "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
        }


def test_a_models_container_reads_archives_images_and_manifests_and_writes_outputs() -> None:
    """One role for endpoint and transform jobs; what it may is what SageMaker does for them."""
    model = ModelId("pets", 1, f"sha256:{'ab' * 32}")
    job = JobName("dev", "trip", "0123456789", 1, 0, 0)
    run = RunKeys("trip", "0123456789")
    plan = run.plan(1, 0, "planner")
    keys = {
        "s3:GetObject": (
            *(archive_key(model), "inbox/trip/cat.jpg"),
            *(f"{plan}0.manifest", run.companion, run.last_companion),
        ),
        "s3:PutObject": (f"{run.output(job)}cat.jpg.out",),
    }
    others = [ACTIVE_MODEL, evaluation_key(model), f"{plan}0-0000.jsonl", "outbox/cat.jpg.json"]
    others += ["training/data/x/cat.jpg", "work/claims/trip"]
    for action, wanted in keys.items():
        patterns = [
            resource.partition("/")[2]
            for allowed, resource in grants(roles()["ModelRole"])
            if allowed == action
        ]
        for key in wanted:
            assert any(fnmatchcase(key, pattern) for pattern in patterns), f"{action} {key}"
        for key in (*others, *(keys["s3:PutObject"] if action == "s3:GetObject" else ())):
            assert not any(fnmatchcase(key, pattern) for pattern in patterns), f"{action} {key}"


def test_sagemaker_may_read_the_alarm_that_undoes_an_update_and_no_other() -> None:
    """An update with AutoRollbackConfiguration wants it of the endpoint's execution role."""
    watched = {
        (name, resource)
        for name, role in roles().items()
        for action, resource in grants(role)
        if action == "cloudwatch:DescribeAlarms"
    }
    alarm = Stage("dev").endpoint_alarm
    assert watched == {("ModelRole", f"cloudwatch:alarm:{alarm}")}
    alarms = of_type(packaged("dev"), "AWS::CloudWatch::Alarm").values()
    assert alarm in {each["AlarmName"] for each in alarms}
