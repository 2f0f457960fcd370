"""What the process writes about itself."""

import json
from dataclasses import dataclass

import pytest

from functions.runtime import count, lambda_handler
from tests.support.builders.packaged import of_type, packaged


@dataclass
class Context:
    function_name: str = "sortbox-dev-onFolder"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:111122223333:function:onFolder"
    aws_request_id: str = "1"


def test_a_metric_has_the_dimensions_that_its_alarm_looks_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STAGE", "dev")
    handler = lambda_handler(lambda environ: lambda event: count("RunFailed"))
    handler({}, Context())
    written = json.loads(capsys.readouterr().out.splitlines()[-1])
    (metric,) = written["_aws"]["CloudWatchMetrics"]
    told = {name: written[name] for name in metric["Dimensions"][0]}
    alarms = of_type(packaged("dev"), "AWS::CloudWatch::Alarm").values()
    (alarm,) = (each for each in alarms if each["MetricName"] == "RunFailed")
    assert told == {each["Name"]: each["Value"] for each in alarm["Dimensions"]}
