"""Events as boto3 sends them."""

from typing import Any

import boto3
import pytest
from moto import mock_aws

from aws.event_bus import EventRefusedError, put_event
from tests.support.fakes.aws import FakeEvents

DETAIL = {"stage": "dev", "message": 'Sortbox dev: inbox/a "b"\\é/ finished.'}


def test_the_request_is_one_that_botocore_knows() -> None:
    with mock_aws():
        session = boto3.Session("test", "test", region_name="eu-west-1")
        put_event(session.client("events"), "Sortbox Run Ended", DETAIL)


def test_the_detail_arrives_as_it_was() -> None:
    events = FakeEvents()
    client: Any = events
    put_event(client, "Sortbox Run Ended", DETAIL)
    assert events.taken == [
        {"Source": "sortbox", "DetailType": "Sortbox Run Ended", "Detail": DETAIL}
    ]


def test_an_entry_that_was_not_taken_is_an_error_with_its_reason() -> None:
    refusing: Any = FakeEvents(refusal="ThrottlingException")
    with pytest.raises(EventRefusedError, match="ThrottlingException: as asked for"):
        put_event(refusing, "Sortbox Run Ended", DETAIL)
