"""What the process writes about itself."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from functions.active import CachedPointer
from functions.outbox import Outbox
from functions.runtime import count, lambda_handler
from functions.sqs import LONGEST_WAIT_SECONDS, SqsBatch
from tests.support.builders.packaged import of_type, packaged
from tests.support.fakes.aws import error
from tests.support.worlds.uploads import World, notification, sqs_event


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


QUARTER_OF_AN_HOUR = 900
CAT = "inbox/cat.jpg"


def no_active_model(world: World) -> Callable[[Any], Any]:
    s3: Any = world.s3
    sqs: Any = world.sqs
    outbox = Outbox(s3, "bucket", CachedPointer(s3, "bucket").model, lambda key: None)
    uploads = replace(world.uploads(), outbox=outbox)
    return SqsBatch(sqs, "http://queues/inbox", 5, uploads.accept)


def no_endpoint(world: World) -> Callable[[Any], Any]:
    def gone() -> None:
        raise error("InvokeEndpoint", 400, "ValidationError")

    world.endpoint.trouble = gone
    return world.intake()


def no_permission(world: World) -> Callable[[Any], Any]:
    def denied(operation: str, key: str) -> None:
        raise error(operation, 403, "AccessDenied")

    world.s3.hook = denied
    return world.intake()


@pytest.mark.parametrize("trouble", [no_active_model, no_endpoint, no_permission])
def test_trouble_that_is_waited_out_rings_within_a_quarter_of_an_hour(
    trouble: Callable[[World], Callable[[Any], Any]],
    counted: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No function fails as a whole, and SQS leaves what was received three times out of its age."""
    assert not counted, "what an earlier test counted would be written with ours"
    monkeypatch.setenv("STAGE", "dev")
    world = World()
    world.put(CAT, b"cat")
    intake = trouble(world)
    handler = lambda_handler(lambda environ: intake)
    answer = handler(sqs_event(notification(CAT), receives=30), Context())
    assert len(answer["batchItemFailures"]) == 1
    written = json.loads(capsys.readouterr().out.splitlines()[-1])
    (_, _, seconds) = world.sqs.visibility[-1]
    (alarm,) = (
        each
        for each in of_type(packaged("dev"), "AWS::CloudWatch::Alarm").values()
        if each["MetricName"] == "Retried"
    )
    assert alarm["Namespace"] == written["_aws"]["CloudWatchMetrics"][0]["Namespace"]
    assert written["Retried"] == [1.0]
    for dimension in alarm["Dimensions"]:
        assert written[dimension["Name"]] == dimension["Value"]
    assert (alarm["Statistic"], alarm["Threshold"]) == ("Sum", 0)
    longest_call = of_type(packaged("dev"), "AWS::Lambda::Function")["OnUploadLambdaFunction"]
    again = max(seconds, LONGEST_WAIT_SECONDS) + longest_call["Timeout"]
    assert alarm["Period"] > again, "each period sees it tried again"
    assert alarm["Period"] * alarm["EvaluationPeriods"] <= QUARTER_OF_AN_HOUR
