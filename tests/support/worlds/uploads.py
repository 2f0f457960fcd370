"""What on_upload's tests are built from: an endpoint that answers by the bytes, events, a world."""

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

from botocore.exceptions import ClientError

from domain.keys import result_key
from domain.model import ActiveModel, EndpointMode, ModelId
from domain.reply import Label, Labelled, Refused, Reply, Server, to_json
from domain.result import Result, from_json
from domain.route import ENDPOINT_BYTES
from functions.allowance import Allowances
from functions.debounce import Debouncer
from functions.endpoint.readiness import Readiness
from functions.on_upload import Uploads
from functions.outbox import Outbox
from functions.settings import OnUpload
from functions.sqs import SqsBatch
from tests.support.fakes.aws import FakeS3, FakeSQS, error

SETTINGS = OnUpload(
    bucket="bucket",
    stage="test",
    inbox_queue_url="http://queues/inbox",
    backlog_queue_url="http://queues/backlog",
    folder_queue_url="http://queues/folder",
    folder_depth=1,
    folder_quiet_seconds=60,
    retry_base_seconds=5,
    uploader_burst=1_000_000,
    expired_answers="remove",
    singles_gather_seconds=900,
)


def model(number: int) -> ModelId:
    return ModelId("pets", number, f"sha256:{number:064x}")


def active(number: int, mode: EndpointMode = "instance") -> ActiveModel:
    names: dict[EndpointMode, str | None] = {
        "instance": "sortbox-test",
        "serverless": "sortbox-test-serverless",
        "none": None,
    }
    return ActiveModel(model(number), names[mode], f"sortbox-test-{number}", "2026-01-01", mode)


def what_is_on(content: bytes) -> str:
    """The label that every model of these tests gives to these bytes."""
    return hashlib.sha256(content).hexdigest()[:8]


def reply_to(content: bytes, by: ModelId) -> Reply:
    """Bytes that begin with `junk` are no image.

    Bytes such as `1:cat:0.9 2:dog:0.8` say themselves what each model says, and how surely.
    """
    server = Server(str(by), "sha256:container")
    if content.startswith(b"junk"):
        return Refused(server, "not_an_image", "These bytes are not an image.")
    by_model = dict(word.split(b":", 1) for word in content.split() if word[:2] in (b"1:", b"2:"))
    answer = by_model.get(str(by.version).encode())
    label, _, score = (
        answer.decode().rpartition(":") if answer else (what_is_on(content), "", "0.75")
    )
    return Labelled(server, (Label(label, float(score)),), 4, 3, "jpeg", 1.5)


@dataclass
class FakeEndpoint:
    """Answers as the model with this number does, unless `trouble` is raised first."""

    number: int = 1
    trouble: Callable[[], None] = lambda: None
    requests: list[bytes] = field(default_factory=list)
    body_bytes: int = ENDPOINT_BYTES
    """SageMaker's front answers 413 to more, be it 6,291,456 or 25 MB."""

    def invoke_endpoint(
        self, *, EndpointName: str, Body: bytes, ContentType: str, Accept: str
    ) -> dict[str, Any]:
        self.trouble()
        if len(Body) > self.body_bytes:
            raise error("InvokeEndpoint", 413, "413")
        self.requests.append(Body)
        reply = reply_to(Body, model(self.number))
        if isinstance(reply, Refused):
            raise model_error(415, to_json(reply))
        return {"Body": io.BytesIO(to_json(reply).encode())}


def model_error(status: int, message: str) -> ClientError:
    """As SageMaker passes on what the container answered."""
    raised = error("InvokeEndpoint", 424, "ModelError")
    response: Any = raised.response
    response |= {"OriginalStatusCode": status, "OriginalMessage": message}
    return raised


def notification(key: str, event: str = "ObjectCreated:Put", size: int | None = None) -> str:
    about = {"key": quote_plus(key), "sequencer": "00"} | ({} if size is None else {"size": size})
    return json.dumps({"Records": [{"eventName": event, "s3": {"object": about}}]})


def sqs_event(*bodies: str, receives: int = 1) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": f"m{number}",
                "receiptHandle": f"r{number}",
                "body": body,
                "attributes": {"ApproximateReceiveCount": str(receives)},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:eu-west-1:1:inbox",
                "awsRegion": "eu-west-1",
            }
            for number, body in enumerate(bodies, 1)
        ]
    }


@dataclass
class World:
    """One bucket, one endpoint, the queues, and on_upload between them."""

    s3: FakeS3 = field(default_factory=FakeS3)
    sqs: FakeSQS = field(default_factory=FakeSQS)
    endpoint: FakeEndpoint = field(default_factory=FakeEndpoint)
    active_number: int = 1
    settings: OnUpload = SETTINGS
    mode: EndpointMode = "instance"

    def uploads(self, readiness: Readiness | None = None) -> Uploads:
        """A process of its own, with a memory of its own."""
        s3: Any = self.s3
        sqs: Any = self.sqs
        endpoint: Any = self.endpoint
        beats = Debouncer(s3, "bucket", sqs, SETTINGS.folder_queue_url, 60, now=lambda: 0.0)
        outbox = Outbox(
            s3, "bucket", lambda: active(self.active_number, self.mode), lambda key: None
        )
        return Uploads(
            self.settings,
            outbox,
            beats,
            sqs,
            endpoint,
            lambda: datetime(2026, 1, 1, tzinfo=UTC),
            Allowances(SETTINGS.uploader_burst),
            readiness=readiness or Readiness(),
        )

    def intake(self, readiness: Readiness | None = None) -> SqsBatch:
        sqs: Any = self.sqs
        return SqsBatch(sqs, SETTINGS.inbox_queue_url, 5, self.uploads(readiness).accept)

    def put(self, key: str, content: bytes) -> None:
        self.s3.put_object(Bucket="bucket", Key=key, Body=content)

    def remove(self, key: str) -> None:
        self.s3.delete_object(Bucket="bucket", Key=key)

    def failed(self, *bodies: str, receives: int = 1, process: SqsBatch | None = None) -> list[str]:
        """Deliver one batch; the ids of the messages that will come again."""
        answer = (process or self.intake())(sqs_event(*bodies, receives=receives))
        return [item["itemIdentifier"] for item in answer["batchItemFailures"]]

    def result(self, key: str) -> Result | None:
        stored = self.s3.objects.get(result_key(key))
        return from_json(stored.body) if stored else None

    def sent(self, queue: str) -> list[Any]:
        return [body for url, body, _ in self.sqs.sent if url.endswith(queue)]
