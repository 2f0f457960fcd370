"""What the doctor says where something is missing, and where AWS does not answer."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from infra.diagnostics import doctor
from infra.diagnostics.doctor import CheckContext, CheckResult
from infra.stage import Stage
from tests.support.builders.packaged import KEY


def refused(code: str, message: str = "") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


class Aws:
    """Clients by service; a service that was not given answers nothing."""

    def __init__(self, **services: Any) -> None:
        self.services = services

    def client(self, service: str) -> Any:
        found = self.services.get(service.replace("-", "_"))
        if found is None:
            raise NoCredentialsError
        return found


BUILDS = "Concurrently running builds for Linux/Medium environment"
ENDPOINT = "ml.m5.xlarge for endpoint usage"
TRANSFORM = "ml.c5.xlarge for transform job usage"
TRAINING = "ml.m5.xlarge for training job usage"
SPOT = "ml.m5.xlarge for spot training job usage"

ENOUGH = {BUILDS: 1, ENDPOINT: 2, TRANSFORM: 20, TRAINING: 2, SPOT: 1}


class Quotas:
    """As applied in the account; `default`: what AWS gives every account."""

    def __init__(self, applied: dict[str, int], default: dict[str, int] | None = None) -> None:
        self.default, self.applied = default or {}, applied

    def get_paginator(self, operation: str) -> "Quotas":
        if operation == "list_aws_default_service_quotas":
            return Quotas(self.default)
        return self

    def paginate(self, *, ServiceCode: str) -> Iterator[Any]:
        for name, value in self.applied.items():
            if ServiceCode == ("codebuild" if name == BUILDS else "sagemaker"):
                yield {"Quotas": [{"QuotaName": name, "Value": value, "QuotaCode": "L-4711"}]}


@dataclass
class Deployed:
    """Lambda as far as onFolder's environment goes."""

    transform_type: str = "ml.c5.xlarge"

    def get_function_configuration(self, *, FunctionName: str) -> Any:
        assert FunctionName == "sortbox-dev-onFolder"
        settings = {
            "TRANSFORM_INSTANCE_TYPE": self.transform_type,
            "TRANSFORM_INSTANCE_COUNT": "2",
            "TRANSFORM_JOBS": "10",
        }
        return {"Environment": {"Variables": settings}}

    def get_account_settings(self) -> Any:
        raise NoCredentialsError


def quotas_found(quotas: Quotas) -> list[CheckResult]:
    return found("quota", service_quotas=quotas, **{"lambda": Deployed()})


@dataclass
class Stacks:
    """CloudFormation with one stack; None: none."""

    outputs: dict[str, str] | None

    def describe_stacks(self, StackName: str) -> Any:
        if self.outputs is None:
            raise refused("ValidationError", f"Stack with id {StackName} does not exist")
        described = [{"OutputKey": n, "OutputValue": v} for n, v in self.outputs.items()]
        return {"Stacks": [{"Outputs": described}]}


class Endpoint:
    def __init__(self, answer: Callable[[], Any], name: str = "sortbox-dev") -> None:
        self.answer = answer
        self.name = name

    def describe_endpoint(self, *, EndpointName: str) -> Any:
        if EndpointName != self.name:
            raise refused("ValidationException", f'Could not find endpoint "{EndpointName}"')
        return self.answer()


def found(about: str, **services: Any) -> list[CheckResult]:
    services.setdefault("cloudformation", Stacks({}))
    patient = CheckContext(Stage("dev"), None, Aws(**services).client)
    return [each for each in doctor.run_checks(patient) if each.about == about]


class NotDeployed(Deployed):
    def get_function_configuration(self, *, FunctionName: str) -> Any:
        raise refused("ResourceNotFoundException")


def test_quotas_are_known_before_a_stage_is_deployed() -> None:
    """They take days, so they are asked for first."""
    findings = found("quota", service_quotas=Quotas(ENOUGH), **{"lambda": NotDeployed()})
    sentences = " ".join(finding.sentence for finding in findings)
    assert "ml.m5.xlarge for transform job usage" in sentences
    assert "10" in sentences
    assert "not checked" not in {finding.state for finding in findings}


def test_an_account_with_every_quota_of_the_documented_steps_lacks_nothing() -> None:
    assert {each.state for each in quotas_found(Quotas(ENOUGH))} == {"ok"}


@pytest.mark.parametrize(
    ("name", "value", "states", "step"),
    [
        (BUILDS, 0, {"missing"}, "sortbox image"),
        (ENDPOINT, 1, {"missing"}, "sortbox promote"),
        (TRANSFORM, 1, {"missing", "note"}, "transform job"),
        (TRANSFORM, 19, {"note"}, "transformJobs"),
        (TRAINING, 0, {"missing", "note"}, "sortbox train"),
        (TRAINING, 1, {"note"}, "sortbox tune"),
        (SPOT, 0, {"note"}, "--spot"),
    ],
)
def test_a_quota_that_is_too_small_is_named_with_the_step_and_how_to_ask(
    name: str, value: int, states: set[str], step: str
) -> None:
    wrong = [each for each in quotas_found(Quotas(ENOUGH | {name: value})) if each.state != "ok"]
    assert {each.state for each in wrong} == states
    said = "\n".join(each.sentence for each in wrong)
    assert f"{name} is {value}, " in said
    assert step in said
    assert "--quota-code L-4711 --desired-value" in said
    assert "hours to days" in said


def test_a_type_that_the_account_may_run_is_named_where_the_chosen_one_is_not() -> None:
    other = "ml.m5.xlarge for transform job usage"
    chosen = ENOUGH | {TRANSFORM: 0}
    [missing] = [each for each in quotas_found(Quotas(chosen)) if each.state == "missing"]
    assert "meanwhile" not in missing.sentence
    [missing] = [
        each for each in quotas_found(Quotas(chosen | {other: 2})) if each.state == "missing"
    ]
    assert missing.sentence.endswith("; ml.m5.xlarge would do meanwhile")


class NoCodeBuild(Quotas):
    def paginate(self, *, ServiceCode: str) -> Iterator[Any]:
        if ServiceCode == "codebuild":
            raise refused("NoSuchResourceException")
        yield from super().paginate(ServiceCode=ServiceCode)


def test_a_service_that_is_refused_hides_no_other() -> None:
    states = [each.state for each in quotas_found(NoCodeBuild(ENOUGH))]
    assert (states.count("not checked"), states.count("ok")) == (1, 6)


def test_a_new_account_that_lists_no_quota_has_none() -> None:
    findings = quotas_found(Quotas({}))
    assert {each.state for each in findings} == {"missing", "note"}
    assert "console.aws.amazon.com/servicequotas" in findings[0].sentence


def test_a_quota_that_was_never_applied_has_its_default_value() -> None:
    """ListServiceQuotas leaves it out (botocore's service model)."""
    applied = {name: value for name, value in ENOUGH.items() if name != TRAINING}
    findings = quotas_found(Quotas(applied, default={TRAINING: 4, ENDPOINT: 0}))
    assert {each.state for each in findings} == {"ok"}
    assert any(f"{TRAINING} is 4" in each.sentence for each in findings)


class Functions(Deployed):
    """Lambda's account, and the concurrency of each event source mapping."""

    def __init__(self, limit: int, *concurrencies: int) -> None:
        super().__init__()
        self.limit, self.concurrencies = limit, concurrencies

    def get_account_settings(self) -> Any:
        unreserved = {"UnreservedConcurrentExecutions": self.limit}
        return {"AccountLimit": {"ConcurrentExecutions": 1000, **unreserved}}

    def get_paginator(self, operation: str) -> "Functions":
        return self

    def paginate(self) -> Iterator[Any]:
        arn = "arn:aws:lambda:eu-west-1:111122223333:function:sortbox"
        other = {"FunctionArn": f"{arn}-prod-onUpload", "ScalingConfig": {"MaximumConcurrency": 99}}
        ours = [
            {"FunctionArn": f"{arn}-dev-onPage", "ScalingConfig": {"MaximumConcurrency": each}}
            for each in self.concurrencies
        ]
        yield {"EventSourceMappings": [other]}
        yield {"EventSourceMappings": ours}


@pytest.mark.parametrize(("limit", "state"), [(10, "missing"), (23, "missing"), (24, "ok")])
def test_a_new_account_runs_too_few_functions_at_once(limit: int, state: str) -> None:
    [finding] = found("concurrency", **{"lambda": Functions(limit, 10, 5, 4, 4)})
    assert finding.state == state
    assert f"{limit} at once, and this stage's up to 24" in finding.sentence


def test_what_aws_does_not_answer_is_not_checked_and_never_fine() -> None:
    patient = CheckContext(Stage("dev"), None, Aws().client)
    states = {each.state for each in doctor.run_checks(patient) if each.about == "quota"}
    assert states == {"not checked"}


@pytest.mark.parametrize(
    ("status", "state"), [("InService", "ok"), ("Failed", "missing"), ("Creating", "missing")]
)
def test_an_endpoint_is_well_when_it_serves(status: str, state: str) -> None:
    endpoint = Endpoint(lambda: {"EndpointStatus": status, "FailureReason": "no such image"})
    [finding] = found("endpoint", sagemaker=endpoint)
    assert finding.state == state
    assert "no such image" in finding.sentence


def test_the_cost_is_told_before_there_is_an_endpoint() -> None:
    def nothing() -> None:
        raise refused("ValidationException", 'Could not find endpoint "sortbox-dev"')

    [finding] = found("cost", sagemaker=Endpoint(nothing))
    assert "a month" in finding.sentence
    assert "prices.json" in finding.sentence
    assert "are not counted" in finding.sentence


@pytest.mark.parametrize(
    ("outputs", "sentence"),
    [
        ({"BudgetDollars": "200"}, "USD 200 a month watches what is tagged stage=dev"),
        ({"BudgetDollars": "200"}, "once the cost allocation tag `stage` is activated"),
        ({}, "no budget watches this stage"),
        (None, "no budget watches this stage"),
    ],
)
def test_a_budget_is_told_with_the_tag_that_must_be_activated(
    outputs: dict[str, str] | None, sentence: str
) -> None:
    [finding] = found("budget", cloudformation=Stacks(outputs))
    assert finding.state == "note"
    assert sentence in finding.sentence


@pytest.mark.parametrize(
    ("mode", "name", "idle"),
    [
        ("none", "sortbox-dev-serverless", "mode none costs nothing while no images arrive"),
        ("serverless", "sortbox-dev", "mode serverless costs nothing while no images arrive"),
        ("instance", "sortbox-dev-serverless", "an endpoint on one ml.m5.xlarge costs"),
    ],
)
def test_an_endpoint_of_another_mode_is_told_with_the_command_that_deletes_it(
    mode: str, name: str, idle: str
) -> None:
    endpoint = Endpoint(lambda: {"EndpointStatus": "InService"}, name)
    services = {"sagemaker": endpoint, "cloudformation": Stacks({"endpoint": mode})}
    missing = [one for one in found("endpoint", **services) if one.state == "missing"]
    assert [name in one.sentence for one in missing] == [True]
    assert f"--mode {mode}" in missing[0].sentence
    (cost,) = found("cost", **services)
    assert idle in cost.sentence


@pytest.mark.parametrize(("mode", "is_needed"), [("instance", True), ("none", False)])
def test_a_stage_without_an_instance_needs_no_quota_for_one(mode: str, is_needed: bool) -> None:
    stack = Stacks({"endpoint": mode})
    findings = found(
        "quota", service_quotas=Quotas(ENOUGH), cloudformation=stack, **{"lambda": Deployed()}
    )
    assert any(ENDPOINT in one.sentence for one in findings) == is_needed


class Encrypted(Stage):
    def kms_key(self) -> str | None:
        return KEY


class Kms:
    """A key in a state, whose policy names services."""

    def __init__(self, state: str, *services: str) -> None:
        self.state, self.services = state, services

    def describe_key(self, **said: str) -> Any:
        return {"KeyMetadata": {"KeyState": self.state, "KeySpec": "SYMMETRIC_DEFAULT"}}

    def get_key_policy(self, **said: str) -> Any:
        account = {"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::1:root"}}
        senders = {"Effect": "Allow", "Principal": {"Service": list(self.services)}}
        nobody = {"Effect": "Deny", "Principal": {"Service": "s3.amazonaws.com"}}
        return {"Policy": json.dumps({"Statement": [account, senders, nobody]})}


def of_key(kms: Kms | None) -> list[CheckResult]:
    services = {} if kms is None else {"kms": kms}
    patient = CheckContext(Encrypted("dev"), None, Aws(**services).client)
    return [each for each in doctor.run_checks(patient) if each.about == "key"]


LET_IN = ("s3.amazonaws.com", "events.amazonaws.com", "logs.eu-west-1.amazonaws.com")


def test_a_key_is_well_when_it_is_enabled_and_lets_in_whoever_sends_and_logs() -> None:
    assert [each.state for each in of_key(Kms("Enabled", *LET_IN))] == ["ok"]


@pytest.mark.parametrize("service", LET_IN)
def test_a_key_that_shuts_a_service_out_is_told_with_what_is_missing(service: str) -> None:
    others = [each for each in LET_IN if each != service]
    well, missing = of_key(Kms("Enabled", *others))
    assert (well.state, missing.state) == ("ok", "missing")
    assert service in missing.sentence
    assert "infra/stacks/key.yml" in missing.sentence


@pytest.mark.parametrize("state", ["Disabled", "PendingDeletion", "PendingImport"])
def test_a_key_that_is_not_enabled_is_missing(state: str) -> None:
    [finding] = of_key(Kms(state, *LET_IN))
    assert finding.state == "missing"
    assert state in finding.sentence


def test_a_key_that_nobody_may_ask_about_is_not_checked() -> None:
    assert [each.state for each in of_key(None)] == ["not checked"]


@pytest.mark.parametrize(("disks", "state"), [(KEY, "ok"), (None, "note")])
def test_an_endpoint_from_before_the_key_is_told(disks: str | None, state: str) -> None:
    class SageMaker:
        def describe_endpoint(self, **said: str) -> Any:
            return {"EndpointStatus": "InService", "EndpointConfigName": "config"}

        def describe_endpoint_config(self, **said: str) -> Any:
            return {"KmsKeyId": disks} if disks else {}

    services = {"sagemaker": SageMaker(), "cloudformation": Stacks({})}
    patient = CheckContext(Encrypted("dev"), None, Aws(**services).client)
    [finding] = [each for each in doctor.run_checks(patient) if each.about == "disks"]
    assert finding.state == state


@pytest.mark.parametrize(("kind", "state"), [("ml.c5.xlarge", "ok"), ("ml.g4dn.xlarge", "missing")])
def test_transform_jobs_on_a_gpu_are_trouble_that_is_deployed(kind: str, state: str) -> None:
    [finding] = found("transform", **{"lambda": Deployed(kind)})
    assert finding.state == state
    assert kind in finding.sentence
