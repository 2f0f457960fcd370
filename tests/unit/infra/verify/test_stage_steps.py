"""An acceptance run touches no stage but the one that it made."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cli.commands.verify import acceptance_steps
from infra.diagnostics.cost import load_prices
from infra.stage import Stage
from infra.verify import estimate, stage_steps
from infra.verify.model_steps import alarm_names, alarms
from infra.verify.stage_steps import MARKER, NotOurStageError, resume
from infra.verify.state import RunState
from infra.verify.step import Site, StepFailed, StepResult
from tests.support.fakes.aws import FakeS3, error
from tests.support.fakes.stacks import FakeStacks

STAGE = Stage("verify")
BUCKET = "sortbox-verify-111122223333-eu-west-1"
RUN = RunState("a run", "here")
OURS = replace(RUN, is_ours=True)


class S3(FakeS3):
    meta = SimpleNamespace(region_name="eu-west-1")
    exists: bool = True

    def head_bucket(self, *, Bucket: str, ExpectedBucketOwner: str) -> None:
        if not self.exists or Bucket != self.bucket:
            raise error("HeadBucket", 404, "404")


@dataclass
class Account(FakeStacks):
    """S3, STS, CloudFormation and CloudWatch as far as the steps call them."""

    s3: S3 = field(default_factory=lambda: S3(BUCKET))
    stacks: set[str] = field(default_factory=set)
    states: dict[str, str] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        return self.s3 if service == "s3" else self

    def get_caller_identity(self) -> dict[str, str]:
        return {"Account": "111122223333"}

    def get_paginator(self, operation: str) -> "Account":
        assert operation == "describe_alarms"
        return self

    def paginate(self, *, AlarmNamePrefix: str) -> list[dict[str, Any]]:
        return [
            {"MetricAlarms": [{"AlarmName": f"{AlarmNamePrefix}{name}", "StateValue": state}]}
            for name, state in self.states.items()
        ]


def site(account: Account, folder: Path = Path()) -> Site:
    return Site(STAGE, account.client, lambda variant: "", lambda: folder, folder)


def account(*stacks: str, objects: dict[str, str] | None = None) -> Account:
    """With a bucket where there are `objects`, even none."""
    made = Account(stacks=set(stacks))
    made.s3.exists = objects is not None
    for key, body in (objects or {}).items():
        made.s3.put_object(Bucket=BUCKET, Key=key, Body=body.encode())
    return made


def test_a_stage_that_does_not_exist_may_be_made() -> None:
    resume(site(account()), RUN)


def test_a_run_whose_stage_was_removed_begins_again() -> None:
    passed = replace(OURS, passed={"deploy": StepResult("deploy", "passed", "fine")})
    assert resume(site(account()), passed) == OURS


@pytest.mark.parametrize("stack", [STAGE.stack, STAGE.storage_stack])
def test_a_stage_that_stands_is_refused(stack: str) -> None:
    with pytest.raises(NotOurStageError, match="Stage verify exists already"):
        resume(site(account(stack)), RUN)


def test_a_bucket_that_outlived_its_stack_is_refused() -> None:
    with pytest.raises(NotOurStageError):
        resume(site(account(objects={"inbox/cat": "a cat"})), RUN)
    with pytest.raises(NotOurStageError):
        resume(site(account(objects={"models/active.json": "a model"})), OURS)


def test_a_run_that_was_interrupted_while_it_deployed_goes_on() -> None:
    resume(site(account(STAGE.stack)), OURS)
    resume(site(account(STAGE.stack, objects={"deploy/bundle": "", "work/tick": ""})), OURS)


def test_a_run_goes_on_in_its_own_stage_only() -> None:
    ours = account(STAGE.stack, objects={MARKER: RUN.run, "inbox/verify-a.jpg": ""})
    assert resume(site(ours), OURS) == OURS
    with pytest.raises(NotOurStageError):
        resume(site(ours), replace(OURS, run="another run"))


def test_images_of_somebody_else_keep_the_bucket() -> None:
    used = account(objects={MARKER: RUN.run, "inbox/verify-a.jpg": "", "inbox/cat": ""})
    parts = {part.name: part for part in stage_steps.clean_ups(RUN.run)}
    with pytest.raises(NotOurStageError, match="it was kept"):
        parts["bucket and queues"].act(site(used))
    assert "inbox/cat" in used.s3.objects
    with pytest.raises(NotOurStageError, match="it was kept"):
        parts["logs and registry"].act(site(used))


def test_every_alarm_of_the_template_has_to_exist_and_be_quiet() -> None:
    quiet = dict.fromkeys(alarm_names(), "OK")
    assert len(quiet) > 10
    assert alarms(site(Account(states=quiet))).startswith(f"{len(quiet)} alarms")
    with pytest.raises(StepFailed, match="retried ring"):
        alarms(site(Account(states=quiet | {"retried": "ALARM"})))
    del quiet["retried"]
    with pytest.raises(StepFailed, match="lacks the alarms retried"):
        alarms(site(Account(states=quiet)))


def test_the_steps_need_earlier_ones_and_cost_at_most_three_dollars() -> None:
    steps = acceptance_steps(RUN)
    names: list[str] = []
    for step in steps:
        assert set(step.needs) <= set(names), f"{step.name} needs what comes later"
        assert step.usage.most_minutes >= step.usage.minutes
        names.append(step.name)
    most = estimate.most(load_prices(), steps, STAGE.endpoint_instance_type)
    assert estimate.typical(load_prices(), steps, STAGE.endpoint_instance_type) < most / 2
    assert estimate.minutes(steps) < 75


def test_nothing_is_made_before_the_quotas_are_known() -> None:
    steps = {step.name: step for step in acceptance_steps(RUN)}
    assert steps["deploy"].needs == ("quotas",)
