"""What the doctor says where something is missing, and where AWS does not answer."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, NoCredentialsError

from infra import doctor
from infra.doctor import Finding, Patient
from infra.stage import Stage


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
    def __init__(self, **values: float) -> None:
        self.values = values

    def get_paginator(self, operation: str) -> "Quotas":
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


def found(about: str, **services: Any) -> list[Finding]:
    patient = Patient(Stage("dev"), None, Aws(**services).client)
    return [each for each in doctor.findings(patient) if each.about == about]


def test_a_quota_of_none_is_missing_and_one_that_is_not_listed_too() -> None:
    findings = found("quota", service_quotas=Quotas(endpoint=2, transform_job=0))
    assert [each.state for each in findings] == ["ok", "missing", "missing"]
    assert "ml.m5.xlarge for endpoint usage is 2" in findings[0].sentence


def test_what_aws_does_not_answer_is_not_checked_and_never_fine() -> None:
    patient = Patient(Stage("dev"), None, Aws().client)
    states = {each.state for each in doctor.findings(patient) if each.about == "quota"}
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
