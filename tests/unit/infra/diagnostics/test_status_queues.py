"""What `./sortbox status` tells of queues, also where their stage has been taken down."""

from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from aws.bucket import Bucket
from infra.diagnostics.findings import StatusSources, of_queues
from infra.stage import Stage


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Iterator[StatusSources]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    region = "us-east-1"
    with mock_aws():
        bucket = Bucket(boto3.client("s3", region_name=region), "bucket")
        sqs = boto3.client("sqs", region_name=region)
        sagemaker = boto3.client("sagemaker", region_name=region)
        yield StatusSources(Stage("dev"), bucket, sqs, sagemaker)


def test_queues_of_a_stage_that_was_removed_are_told_to_be_gone(look: StatusSources) -> None:
    for name in ("inbox", "inbox-dead"):
        look.sqs.create_queue(QueueName=f"sortbox-dev-{name}")
    look.sqs.send_message(
        QueueUrl=look.sqs.get_queue_url(QueueName="sortbox-dev-inbox")["QueueUrl"], MessageBody="{}"
    )
    told = [finding.sentence for finding in of_queues(look)]
    assert told[0].startswith("The inbox queue (sortbox-dev-inbox): messages waiting 1,")
    assert told[1:] == [
        f"Queue sortbox-dev-{name} does not exist: the stage is not deployed, or was removed."
        for name in ("backlog", "folder", "page")
    ]
