"""What a stage asks CloudWatch about its endpoint's alarm."""

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from infra.stage import is_ringing


@pytest.mark.parametrize(("ringing", "expected"), [([{"AlarmName": "x"}], True), ([], False)])
def test_only_an_alarm_in_alarm_is_ringing(ringing: list[dict[str, str]], expected: bool) -> None:
    """DescribeAlarms filters by StateValue (botocore's model); INSUFFICIENT_DATA is no ringing."""
    client: Any = boto3.client("cloudwatch", region_name="eu-west-1")
    with Stubber(client) as stub:
        request = {"AlarmNames": ["x"], "StateValue": "ALARM"}
        stub.add_response("describe_alarms", {"MetricAlarms": ringing}, request)
        assert is_ringing(client, "x") is expected
