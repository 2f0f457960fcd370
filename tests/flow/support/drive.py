"""What a test does to a deployed cloud, and what it waits for: AWS calls, as a user makes them."""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from botocore.exceptions import ClientError

from domain import keys, result
from domain.model import ActiveModel
from domain.result import Classified, Rejected, Result
from domain.scope import Scope

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_sagemaker import SageMakerClient
    from types_boto3_sqs import SQSClient

T = TypeVar("T")
PATIENCE_SECONDS = 300.0
LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Cloud:
    """A running stage, driven from outside."""

    s3: "S3Client"
    sqs: "SQSClient"
    sagemaker: "SageMakerClient"
    bucket: str
    stage: str

    def drop(self, key: str, body: bytes = b"") -> str:
        """Upload; returns the ETag without quotes."""
        answer = self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        return answer["ETag"].strip('"')

    def remove(self, key: str) -> None:
        self.s3.delete_object(Bucket=self.bucket, Key=key)

    def read(self, key: str) -> bytes | None:
        try:
            return self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            return None

    def answer(self, key: str) -> Result | None:
        """The result that stands for an inbox key, whatever it answers."""
        document = self.read(keys.result_key(key))
        return result.from_json(document) if document else None

    def answered(self, key: str, etag: str | None = None) -> Result:
        """The result for an inbox key, waited for; for that very ETag if one is given."""

        def look() -> Result | None:
            answer = self.answer(key)
            if answer is None or etag not in (None, answer.source.etag):
                return None
            return answer

        found = eventually(look, f"an answer to {key!r}")
        assert isinstance(found, Classified | Rejected)
        return found

    def label(self, key: str, etag: str | None = None) -> str:
        return top_label(self.answered(key, etag))

    def unanswered(self, key: str) -> None:
        """Waits until the result of `key` has disappeared."""
        eventually(lambda: self.answer(key) is None or None, f"no answer to {key!r}")

    def folder_file(self, folder: str, name: str) -> bytes | None:
        return self.read(keys.folder_file(Scope(f"{folder}/"), name))

    def status(self, folder: str) -> dict[str, Any] | None:
        document = self.folder_file(folder, "_status.json")
        return json.loads(document) if document else None

    def ended(self, folder: str, state: str = "finished", after: str = "") -> dict[str, Any]:
        """The folder's status once a run other than `after` (a run's nonce) has ended so."""

        def look() -> dict[str, Any] | None:
            status = self.status(folder)
            ended = status and status["state"] == state and status["run"] != after
            return status if ended else None

        return eventually(look, f"folder {folder!r} {state}")

    def summary(self, folder: str) -> dict[str, Any]:
        document = self.folder_file(folder, "_summary.json")
        assert document is not None, f"folder {folder} has no summary"
        summary: dict[str, Any] = json.loads(document)
        return summary

    def jobs(self, folder: str) -> list[Any]:
        """The transform jobs of a folder, first one first."""
        slug = Scope(f"{folder}/").slug
        found = self.sagemaker.list_transform_jobs(
            NameContains=f"sortbox-{self.stage}-{slug}-", SortOrder="Ascending", MaxResults=100
        )
        return found["TransformJobSummaries"]

    def job(self, folder: str, status: str) -> str:
        """The name of the folder's first job that is in this state, waited for."""

        def look() -> str | None:
            matching = [job for job in self.jobs(folder) if job["TransformJobStatus"] == status]
            return matching[0]["TransformJobName"] if matching else None

        return eventually(look, f"a job of {folder!r} {status}")

    def active(self) -> ActiveModel:
        document = self.read(keys.ACTIVE_MODEL)
        assert document is not None, "no model is active"
        return ActiveModel.from_json(document)

    def queue(self, name: str) -> str:
        return self.sqs.get_queue_url(QueueName=f"sortbox-{self.stage}-{name}")["QueueUrl"]

    def depth(self, name: str) -> int:
        """Messages of a queue that are waiting, delayed or being worked on."""
        counts = self.sqs.get_queue_attributes(
            QueueUrl=self.queue(name),
            AttributeNames=[
                "ApproximateNumberOfMessages",
                "ApproximateNumberOfMessagesDelayed",
                "ApproximateNumberOfMessagesNotVisible",
            ],
        )["Attributes"]
        return sum(map(int, counts.values()))

    def at_rest(self) -> None:
        """Waits until no queue has anything left to say.

        Each is looked at twice: a page's function may send to the folder's queue after that was
        looked at, and before its own message is deleted.
        """
        names = ("inbox", "backlog", "folder", "page") * 2
        eventually(lambda: sum(map(self.depth, names)) == 0 or None, "queues at rest")

    def notify(self, *records: dict[str, Any]) -> None:
        """Sends S3 event records as S3 would, in this order, each in a message of its own."""
        for record in records:
            body = json.dumps({"Records": [record]})
            self.sqs.send_message(QueueUrl=self.queue("inbox"), MessageBody=body)


def record(kind: str, bucket: str, encoded_key: str, etag: str = "") -> dict[str, Any]:
    """An S3 event record; `encoded_key` is form-encoded, as S3 sends keys."""
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventName": kind,
        "s3": {"bucket": {"name": bucket}, "object": {"key": encoded_key, "eTag": etag, "size": 1}},
    }


def eventually(look: Callable[[], T | None], what: str, patience: float = PATIENCE_SECONDS) -> T:
    """What `look` finds, as soon as it finds it; the test fails after `patience` seconds."""
    end = time.monotonic() + patience
    while (found := look()) is None:
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {patience:.0f} s")
        time.sleep(LOOK_SECONDS)
    return found


def top_label(answer: Result) -> str:
    assert isinstance(answer, Classified), answer
    return answer.labels[0].label


def code(answer: Result) -> str:
    assert isinstance(answer, Rejected), answer
    return answer.code


def label_of(body: bytes, model: str = "stand-in") -> str:
    """The label that the stand-in container gives these bytes, computed again, independently."""
    digest = hashlib.sha256(body).hexdigest()
    return f"{model if model != 'stand-in' and digest[0] < '8' else 'sha'}-{digest[:8]}"
