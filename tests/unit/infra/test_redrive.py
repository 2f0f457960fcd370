"""Dead letters go back to the queue that they failed in, and none is lost on the way."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws

from cli.commands.stage import QUEUES
from infra.diagnostics.findings import DEAD_LETTERS
from infra.redrive import RedriveError, redrive
from infra.stage import Stage

if TYPE_CHECKING:
    from types_boto3_sqs import SQSClient

STAGE = Stage("dev")


@pytest.fixture
def sqs(monkeypatch: pytest.MonkeyPatch) -> "Iterator[SQSClient]":
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    with mock_aws():
        client = boto3.client("sqs", region_name="us-east-1")
        for name in ("inbox", "inbox-dead", "folder", "job-event-dead"):
            client.create_queue(QueueName=STAGE.queue(name))
        yield client


def send(sqs: "SQSClient", name: str, bodies: list[str]) -> None:
    url = sqs.get_queue_url(QueueName=STAGE.queue(name))["QueueUrl"]
    for body in bodies:
        sqs.send_message(QueueUrl=url, MessageBody=body)


def bodies_of(sqs: "SQSClient", name: str) -> list[str]:
    url = sqs.get_queue_url(QueueName=STAGE.queue(name))["QueueUrl"]
    bodies: list[str] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        bodies += [message["Body"] for message in messages]
    return sorted(bodies)


def test_all_dead_letters_go_back_and_none_stays(sqs: "SQSClient") -> None:
    bodies = [json.dumps({"number": f"{number:02}"}) for number in range(23)]
    send(sqs, "inbox-dead", bodies)
    assert [*redrive(sqs, STAGE, "inbox")] == ["Put back into sortbox-dev-inbox: 23 of 23."]
    assert bodies_of(sqs, "inbox") == bodies
    assert bodies_of(sqs, "inbox-dead") == []


def test_events_of_jobs_go_to_the_folder_queue(sqs: "SQSClient") -> None:
    send(sqs, "job-event-dead", ["event"])
    assert [*redrive(sqs, STAGE, "job-event")] == ["Put back into sortbox-dev-folder: 1 of 1."]
    assert bodies_of(sqs, "folder") == ["event"]


def test_long_messages_are_sent_in_several_batches(sqs: "SQSClient") -> None:
    """Ten of them are more than SQS accepts at once."""
    bodies = [str(number) * 90_000 for number in range(6)]
    send(sqs, "inbox-dead", bodies)
    assert [*redrive(sqs, STAGE, "inbox")] == ["Put back into sortbox-dev-inbox: 6 of 6."]
    assert bodies_of(sqs, "inbox") == bodies


def test_what_sqs_does_not_accept_stays_a_dead_letter(sqs: "SQSClient") -> None:
    send(sqs, "inbox-dead", ["first", "second"])

    class HalfWilling:
        """SQS, which accepts the first message of a batch and no other."""

        exceptions = sqs.exceptions

        def __getattr__(self, name: str) -> Any:
            return getattr(sqs, name)

        def send_message_batch(self, **request: Any) -> Any:
            entries = request.pop("Entries")
            reply = sqs.send_message_batch(Entries=entries[:1], **request)
            failed = [{"Id": entry["Id"], "Message": "too busy"} for entry in entries[1:]]
            return {**reply, "Failed": failed}

    with pytest.raises(RedriveError, match=r"did not accept 1 messages: too busy\. They stay"):
        list(redrive(HalfWilling(), STAGE, "inbox"))  # type: ignore[arg-type]
    url = sqs.get_queue_url(QueueName="sortbox-dev-inbox-dead")["QueueUrl"]
    kept = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    waiting, received = "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"
    count = int(kept[waiting]) + int(kept[received])  # type: ignore[index]
    assert count == 1


def test_a_stage_without_queues_is_a_sentence(sqs: "SQSClient") -> None:
    with pytest.raises(RedriveError, match="Stage dev has no queue page: is it deployed"):
        list(redrive(sqs, STAGE, "page"))


def test_the_command_knows_every_queue_with_dead_letters() -> None:
    assert tuple(DEAD_LETTERS) == QUEUES
