"""From the end of a run to the people who subscribed, through the deployed rule and topic."""

import json
from typing import Any

import pytest

from infra.local import cloud as local
from tests.flow.support.drive import Cloud, eventually

pytestmark = pytest.mark.flow

FOLDER = 'our "best" trip'


def test_the_end_of_a_folder_reaches_who_subscribed_once(
    cloud: Cloud, running: local.LocalCloud
) -> None:
    sns, sqs = running.client("sns"), running.client("sqs")
    topics = [topic["TopicArn"] for topic in sns.list_topics()["Topics"]]
    (topic,) = [arn for arn in topics if arn.endswith(":sortbox-local-notices")]
    queue = topic.replace(":sns:", ":sqs:").replace("sortbox-local-notices", "listener")
    from_the_topic = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [from_the_topic]})
    made = sqs.create_queue(QueueName="listener", Attributes={"Policy": policy})
    url = made["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)

    cloud.drop(f"inbox/{FOLDER}/1.jpg", b"1")
    cloud.drop(f"inbox/{FOLDER}/_READY")
    cloud.ended(FOLDER)

    def told() -> list[Any] | None:
        """Of this folder: runs of others may end meanwhile."""
        found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in found:  # or it would come again after 30 seconds
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        texts = [json.loads(json.loads(message["Body"])["Message"]) for message in found]
        return [text for text in texts if FOLDER in text] or None

    (message,) = eventually(told, "the notice")
    assert message == (
        f"Sortbox local: inbox/{FOLDER}/ finished. 1 image: 1 classified, 0 rejected. "
        f"s3://{cloud.bucket}/outbox/{FOLDER}/_report.html"
    )
    cloud.drop(f"inbox/{FOLDER}/_READY")  # a run with nothing to answer
    cloud.at_rest()
    assert told() is None
