"""No statement of a function's role is spare, and none reaches beyond the function's own keys.

Each statement is taken away from the deployed role, and a flow stops for want of it; it is given
back, and the flow goes on to its end: nothing was lost.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from infra.local import cloud as local
from infra.local.account import REGION
from tests.faults.cloud import journeys
from tests.faults.cloud.deployed import Deployed
from tests.faults.cloud.journeys import Flow, Stage
from tests.flow.conftest import Knobs
from tests.flow.support.drive import Cloud, eventually
from tests.support.builders.packaged import of_type, packaged

FUNCTIONS = ("OnUpload", "OnFolder", "OnPage", "OnSchedule")

FLOWS: dict[tuple[str, str], Callable[[Stage], Flow]] = {
    ("OnUpload", "TakeUploadsAndLookAgain"): journeys.promoted,
    ("OnUpload", "TellFolders"): journeys.large_single,
    ("OnUpload", "ReadImagesAnswersAndTheActiveModel"): journeys.single,
    ("OnUpload", "Answer"): journeys.single,
    ("OnUpload", "NoteBeats"): journeys.beating,
    ("OnUpload", "Classify"): journeys.single,
    ("OnFolder", "Transform"): journeys.folder,
    ("OnFolder", "MakeThumbnails"): journeys.folder,
    ("OnFolder", "GiveNotice"): journeys.folder,
    ("OnFolder", "TakeFoldersAndAdvance"): journeys.folder_asked_again,
    ("OnFolder", "SendPages"): journeys.folder,
    ("OnFolder", "ReadImagesAnswersRunsAndTheActiveModel"): journeys.folder,
    ("OnFolder", "WriteRunsAndReports"): journeys.folder,
    ("OnFolder", "UnpackArchives"): journeys.archive,
    ("OnFolder", "EndRuns"): journeys.folder,
    ("OnFolder", "ListAndKnowAbsentFromForbidden"): journeys.folder,
    ("OnPage", "Classify"): journeys.folder,
    ("OnPage", "Advance"): journeys.folder,
    ("OnPage", "ReadImagesAnswersRunsAndTheActiveModel"): journeys.folder,
    ("OnPage", "Answer"): journeys.folder,
    ("OnPage", "NoteProgress"): journeys.folder,
    ("OnPage", "ListAndKnowAbsentFromForbidden"): journeys.folder,
    ("OnSchedule", "FindOpenRuns"): journeys.clock,
    ("OnSchedule", "Advance"): journeys.clock,
}

EXEMPT = {
    ("OnUpload", "Log"): "the emulator writes a function's log whatever its role",
    ("OnFolder", "Log"): "the same",
    ("OnPage", "Log"): "the same",
    ("OnSchedule", "Log"): "the same",
    ("OnPage", "TakePages"): "the emulator takes messages for a function whatever its role",
    ("OnUpload", "NoteTimeouts"): "written after 45 s without an answer; unit tests count them",
    ("OnPage", "NoteTimeouts"): "the same",
    ("OnFolder", "LeaveTheLineForTransformJobs"): "a journey's jobs are fewer than a stage may run",
    ("OnSchedule", "TakeTurns"): "written at every hundredth open run; a journey has few",
    ("OnUpload", "KnowAbsentFromForbidden"): "only AWS answers 403 for an absent key without it",
}
"""What only AWS needs. Within statements that is s3:GetObject for If-Match, and taking messages."""

QUICK = [("OnUpload", "Answer"), ("OnFolder", "EndRuns"), ("OnPage", "NoteProgress")]


@dataclass(frozen=True)
class Roles:
    """The deployed roles of the functions, and what they log."""

    iam: Any
    logs: Any

    def name(self, role: str) -> str:
        names = [each["RoleName"] for each in self.iam.list_roles(MaxItems=100)["Roles"]]
        (found,) = (name for name in names if f"-{role}Role-" in name)
        return str(found)

    def policy(self, role: str) -> dict[str, Any]:
        name = self.name(role)
        (policy,) = self.iam.list_role_policies(RoleName=name)["PolicyNames"]
        found: dict[str, Any] = self.iam.get_role_policy(RoleName=name, PolicyName=policy)
        document: dict[str, Any] = found["PolicyDocument"]
        return document

    @contextmanager
    def without(self, role: str, sid: str) -> Iterator[None]:
        name, whole = self.name(role), self.policy(role)
        (policy,) = self.iam.list_role_policies(RoleName=name)["PolicyNames"]
        rest = [each for each in whole["Statement"] if each["Sid"] != sid]
        assert len(rest) == len(whole["Statement"]) - 1
        self._put(name, policy, {**whole, "Statement": rest})
        try:
            yield
        finally:
            self._put(name, policy, whole)

    def _put(self, name: str, policy: str, document: dict[str, Any]) -> None:
        text = json.dumps(document)
        self.iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=text)

    def denials(self, role: str) -> int:
        """How often a function has logged that it was denied something."""
        group = f"/aws/lambda/sortbox-local-{role[0].lower()}{role[1:]}"
        pages = self.logs.get_paginator("filter_log_events")
        words = ("AccessDenied", "Forbidden")  # a HEAD is refused in other words
        found = [pages.paginate(logGroupName=group, filterPattern=word) for word in words]
        return sum(len(page["events"]) for each in found for page in each)


@pytest.fixture(scope="module")
def roles(running: local.LocalCloud) -> Roles:
    return Roles(running.client("iam"), running.client("logs"))


def test_every_statement_of_a_function_has_a_flow_or_a_reason() -> None:
    deployed = of_type(packaged("local"), "AWS::IAM::Role")
    statements = {
        (function, statement["Sid"])
        for function in FUNCTIONS
        for policy in deployed[f"{function}Role"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    }
    assert statements == set(FLOWS) | set(EXEMPT)
    assert not set(FLOWS) & set(EXEMPT)


@pytest.fixture
def stage(cloud: Cloud, knobs: Knobs, running: local.LocalCloud) -> Iterator[Stage]:
    """Queues forget in seconds: a function that may not put a message off has to wait for it."""
    with Deployed(cloud, running).forgetful_queues():
        yield Stage(cloud, knobs, running.client("lambda"))


def assert_needed(stage: Stage, roles: Roles, role: str, sid: str) -> None:
    flow = FLOWS[role, sid](stage)
    before = roles.denials(role)
    with roles.without(role, sid):
        flow.begin()
        eventually(lambda: roles.denials(role) > before or None, f"{role} denied {sid}")
        assert not flow.is_done()
    eventually(lambda: flow.is_done() or None, f"{role} with {sid} again")


@pytest.mark.flow
@pytest.mark.parametrize(("role", "sid"), QUICK)
def test_without_a_statement_a_flow_stops_and_with_it_goes_on(
    stage: Stage, roles: Roles, role: str, sid: str
) -> None:
    assert_needed(stage, roles, role, sid)


@pytest.mark.faults
@pytest.mark.parametrize(("role", "sid"), sorted(set(FLOWS) - set(QUICK)))
def test_no_statement_is_spare(stage: Stage, roles: Roles, role: str, sid: str) -> None:
    assert_needed(stage, roles, role, sid)


READS = {
    "OnUpload": ("inbox/", "outbox/", "work/timeouts/", "models/active.json"),
    "OnFolder": ("inbox/", "outbox/", "work/", "models/active.json"),
    "OnPage": ("inbox/", "outbox/", "work/", "models/active.json"),
    "OnSchedule": (),
}
WRITES = {
    "OnUpload": ("outbox/", "work/beats/", "work/large/", "work/timeouts/"),
    "OnFolder": ("outbox/", "work/", "inbox/trip/"),
    "OnPage": ("outbox/", "work/runs/", "work/timeouts/"),
    "OnSchedule": (),
}
DELETES = {
    "OnUpload": ("outbox/",),
    "OnFolder": (
        *("outbox/", "work/archives/", "work/claims/", "work/leases/", "work/beats/"),
        *("work/large/", "work/slots/", "work/tickets/"),
    ),
    "OnPage": ("outbox/",),
    "OnSchedule": (),
}
PLACES = (
    *("inbox/", "inbox/trip/", "outbox/", "models/", "deploy/", "elsewhere/"),
    *("work/", "work/beats/", "work/claims/", "work/runs/", "work/timeouts/"),
    *("work/large/", "work/slots/", "work/tickets/"),
)


@pytest.fixture(params=FUNCTIONS)
def holder(
    request: pytest.FixtureRequest, running: local.LocalCloud, roles: Roles
) -> tuple[str, Any]:
    """(role, an S3 client of somebody who holds that role's policy and nothing else)."""
    iam, role = roles.iam, request.param
    policy = json.dumps(roles.policy(role))
    iam.create_user(UserName=role)
    iam.put_user_policy(UserName=role, PolicyName="same", PolicyDocument=policy)
    key = iam.create_access_key(UserName=role)["AccessKey"]
    session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=REGION)
    return role, session.client("s3", endpoint_url=running.ports.aws_url)


@pytest.fixture
def probes(cloud: Cloud, holder: tuple[str, Any]) -> Iterator[dict[str, str]]:
    """An object in each place, gone afterwards: one among the claims would be an endless run."""
    probes = {place: f"{place}_{holder[0]}.bin" for place in PLACES}
    for each in probes.values():
        cloud.drop(each, b"here")
    yield probes
    for each in probes.values():
        cloud.remove(each)


@pytest.mark.flow
def test_a_function_reaches_its_own_keys_and_no_others(
    cloud: Cloud, holder: tuple[str, Any], probes: dict[str, str]
) -> None:
    role, s3 = holder
    key = probes | {"active": "models/active.json"}
    may = {
        "read": {name for name, each in key.items() if _may(s3.get_object, cloud, each)},
        "write": {name for name in PLACES if _may(s3.put_object, cloud, key[name], Body=b"")},
        "delete": {name for name in PLACES if _may(s3.delete_object, cloud, key[name])},
    }
    assert may["read"] == {n for n, each in key.items() if each.startswith(READS[role] or "\0")}
    assert may["write"] == {n for n in PLACES if n.startswith(WRITES[role] or "\0")}
    assert may["delete"] == {n for n in PLACES if n.startswith(DELETES[role] or "\0")}


def _may(call: Callable[..., Any], cloud: Cloud, key: str, **more: Any) -> bool:
    try:
        call(Bucket=cloud.bucket, Key=key, **more)
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDenied":
            raise
        return False
    return True
