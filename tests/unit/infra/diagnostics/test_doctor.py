"""What the doctor says where something is missing, and where AWS does not answer."""

import json
from collections.abc import Callable, Iterator
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


class Quotas:
    """As applied in the account; `default`: what AWS gives every account."""

    def __init__(self, default: "Quotas | None" = None, **values: float) -> None:
        self.default, self.values = default, values

    def get_paginator(self, operation: str) -> "Quotas":
        if operation == "list_aws_default_service_quotas":
            return self.default or Quotas()
        return self

    def paginate(self, **said: str) -> Iterator[Any]:
        for use, value in self.values.items():
            name = f"ml.m5.xlarge for {use.replace('_', ' ')} usage"
            yield {"Quotas": [{"QuotaName": name, "Value": value}]}


class Endpoint:
    def __init__(self, answer: Callable[[], Any]) -> None:
        self.answer = answer

    def describe_endpoint(self, **said: str) -> Any:
        return self.answer()


def found(about: str, **services: Any) -> list[CheckResult]:
    patient = CheckContext(Stage("dev"), None, Aws(**services).client)
    return [each for each in doctor.run_checks(patient) if each.about == about]


def test_a_quota_of_none_is_missing_and_one_that_is_not_listed_too() -> None:
    findings = found("quota", service_quotas=Quotas(endpoint=2, transform_job=0))
    assert [each.state for each in findings] == ["ok", "missing", "missing"]
    assert "ml.m5.xlarge for endpoint usage is 2" in findings[0].sentence


def test_a_quota_of_one_machine_is_too_small_for_an_update_of_the_endpoint() -> None:
    first, *_ = found("quota", service_quotas=Quotas(endpoint=1, transform_job=1, training_job=1))
    assert first.state == "missing"
    assert "endpoint usage is 1 and has to be 2" in first.sentence


def test_a_quota_that_was_never_applied_has_its_default_value() -> None:
    default = Quotas(endpoint=4, transform_job=0, training_job=4)
    findings = found("quota", service_quotas=Quotas(default, endpoint=2, transform_job=1))
    assert [each.state for each in findings] == ["ok", "ok", "ok"]
    assert "training job usage is 4" in findings[1].sentence


class Functions:
    """Lambda's account, and the concurrency of each event source mapping."""

    def __init__(self, limit: int, *concurrencies: int) -> None:
        self.limit, self.concurrencies = limit, concurrencies

    def get_account_settings(self) -> Any:
        return {"AccountLimit": {"ConcurrentExecutions": self.limit}}

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

    patient = CheckContext(Encrypted("dev"), None, Aws(sagemaker=SageMaker()).client)
    [finding] = [each for each in doctor.run_checks(patient) if each.about == "disks"]
    assert finding.state == state
