"""What the folder road is tested with: a bucket, jobs, queues, and the two doors between them."""

import csv
import io
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from aws.bucket import Bucket
from aws.event_bus import put_event
from batch.context import Context, Limits, TransformResources
from batch.planning.slice import PageRef
from domain.keys import CLAIMS, JobName, debounce_key, result_key
from domain.model import EndpointMode
from domain.result import How, Result, Source, from_json, metadata
from domain.result import to_json as result_to_json
from domain.scope import Kind, Scope
from functions.answer import result_of
from functions.archives import Archives
from functions.messages import (
    Advance,
    OurMessage,
    QuietTimer,
    Reclassify,
    Start,
    Unpack,
    to_json,
)
from functions.on_folder import Folders, look_later, send_timer
from functions.on_page import Pages
from functions.outbox import Outbox
from functions.settings import OnFolder, OnPage
from tests.support.fakes.aws import FakeEvents, FakeS3, FakeSQS
from tests.support.fakes.sagemaker import FakeSageMaker
from tests.support.worlds.uploads import FakeEndpoint, active, model, reply_to, sqs_event

ON_FOLDER = OnFolder(
    bucket="bucket",
    stage="test",
    folder_queue_url="http://queues/folder",
    page_queue_url="http://queues/page",
    folder_depth=1,
    folder_quiet_seconds=60,
    folder_longest_wait_seconds=600,
    singles_gather_seconds=900,
    endpoint_max_late=3,
    endpoint_max_first=0,
    transform_instance_type="ml.m5.xlarge",
    transform_instance_count=1,
    transform_jobs=100,
    retry_base_seconds=5,
    kms_key="none",
    reclassify_jobs=1,
    reclassify_ask_above=1_000,
    flip_alarm_percent=20,
    expired_answers="remove",
    review_below_percent=50,
)
ON_PAGE = OnPage(
    bucket="bucket",
    stage="test",
    page_queue_url="http://queues/page",
    folder_queue_url="http://queues/folder",
    retry_base_seconds=5,
)
SMALL = Limits(slice_rows=4, page_rows=2, walk_keys=200, reclassify_rows=4, heads_at_once=1)


def record(body: str) -> SQSRecord:
    return SQSRecord(sqs_event(body)["Records"][0])


@dataclass
class World:
    """Messages are delivered one by one, delays at once, until nothing moves."""

    s3: FakeS3 = field(default_factory=FakeS3)
    sqs: FakeSQS = field(default_factory=FakeSQS)
    events: FakeEvents = field(default_factory=FakeEvents)
    endpoint: FakeEndpoint = field(default_factory=FakeEndpoint)
    active_number: int = 1
    mode: EndpointMode = "instance"
    limits: Limits = SMALL
    settings: OnFolder = ON_FOLDER
    threads: int = 1
    sagemaker: FakeSageMaker = field(init=False)
    delivered: int = 0
    thumbnails: dict[str, bytes] = field(default_factory=dict)
    nonces: Iterator[str] = field(default_factory=lambda: (f"{n:010x}" for n in itertools.count(1)))

    def __post_init__(self) -> None:
        self.sagemaker = FakeSageMaker(self.s3)

    @property
    def cloud(self) -> Context:
        s3: Any = self.s3
        sqs: Any = self.sqs
        sagemaker: Any = self.sagemaker
        events: Any = self.events
        return Context(
            bucket=Bucket(s3, "bucket"),
            sagemaker=sagemaker,
            stage=self.settings.stage,
            resources=TransformResources("ml.m5.xlarge", 1),
            folder_depth=self.settings.folder_depth,
            endpoint_max_late=self.settings.endpoint_max_late,
            endpoint_max_first=self.settings.endpoint_max_first,
            active_model=lambda: active(self.active_number, self.mode),
            send_page=self._send_page,
            look_later=partial(look_later, self.settings, s3, sqs),
            now=lambda: self.s3.clock.now,
            new_nonce=lambda: next(self.nonces),
            advance_later=lambda token: self.send(Advance(token)),
            unpack_later=lambda archive: self.send(Unpack(archive)),
            notify=partial(put_event, events),
            thumbnail=self.thumbnails.get,
            jobs_at_once=self.settings.transform_jobs,
            reclassify_jobs=self.settings.reclassify_jobs,
            review_below=self.settings.review_below_percent / 100,
            keeps_answers=self.settings.expired_answers == "keep",
            confirm_above=self.settings.reclassify_ask_above,
            limits=self.limits,
        )

    def _send_page(self, page: PageRef) -> None:
        self.sqs.send_message(QueueUrl=self.settings.page_queue_url, MessageBody=to_json(page))

    def folders(self) -> Folders:
        context = self.cloud
        return Folders(
            context,
            Archives(context, self.send),
            self.settings.flip_alarm_percent,
            self.settings.folder_longest_wait_seconds,
            self.settings.singles_gather_seconds,
            partial(send_timer, self.settings, self.sqs),  # type: ignore[arg-type]
        )

    def pages(self) -> Pages:
        s3: Any = self.s3
        sqs: Any = self.sqs
        endpoint: Any = self.endpoint
        outbox = Outbox(
            s3, "bucket", lambda: active(self.active_number, self.mode), lambda key: None
        )
        return Pages(ON_PAGE, outbox, sqs, endpoint, lambda: self.s3.clock.now, self.threads)

    def put(self, key: str, content: bytes | None = None) -> None:
        body = key.encode() if content is None else content
        self.s3.put_object(Bucket="bucket", Key=key, Body=body)

    def fill(self, *keys: str) -> None:
        for key in keys:
            self.put(key)

    def answer(self, *keys: str) -> None:
        """As the endpoint would have, before the run."""
        for key in keys:
            stored = self.s3.objects[key]
            source = Source("bucket", stored.etag, None, len(stored.body))
            how = How("endpoint", None, 1, "2026-01-01T00:00:00Z")
            result = result_of(key, source, reply_to(stored.body, model(1)), how)
            self.s3.put_object(
                Bucket="bucket",
                Key=result_key(key),
                Body=result_to_json(result),
                Metadata=metadata(result),
            )

    def remove(self, key: str) -> None:
        self.s3.delete_object(Bucket="bucket", Key=key)

    def send(self, message: OurMessage) -> None:
        self.sqs.send_message(QueueUrl=self.settings.folder_queue_url, MessageBody=to_json(message))

    def debounce(self, path: str, nonce: str) -> QuietTimer:
        """The folder's last sign of life, and the timer that comes with it."""
        text = json.dumps({"path": path, "nonce": nonce})
        self.put(debounce_key(Scope(path).token), text.encode())
        return QuietTimer(path, nonce)

    def deliver(self) -> None:
        """The next message; trouble leaves it in its queue."""
        url, body, _ = self.sqs.sent[self.delivered]
        door = self.pages().accept if url.endswith("page") else self.folders().accept
        if not url.endswith("inbox"):
            door(record(json.dumps(body)))
        self.delivered += 1

    def drain(self) -> None:
        while self.delivered < len(self.sqs.sent):
            self.deliver()

    def start(self, path: str) -> None:
        self.send(Start(path))
        self.drain()

    def promote(self, number: int) -> None:
        """Another model answers from now on: the endpoint, then the pointer; jobs follow it."""
        self.endpoint.number = self.active_number = number

    def sweep(self, path: str = "", kind: Kind = "renewal", confirmed: bool = True) -> None:
        self.send(Reclassify(path, kind, confirmed))
        self.drain()

    def tick(self) -> None:
        """The sweeper's: every open run is asked to go on."""
        for claim in [key for key in self.s3.objects if key.startswith(CLAIMS)]:
            self.send(Advance(claim.removeprefix(CLAIMS).removesuffix(".json")))
        self.drain()

    def changed(self, name: str) -> None:
        """EventBridge tells of the job, as it mirrors Describe."""
        detail = self.sagemaker.describe_transform_job(TransformJobName=name)
        event = {"source": "aws.sagemaker", "detail": detail}
        self.sqs.sent.append((self.settings.folder_queue_url, event, 0))
        self.drain()

    def finish_jobs(self, rounds: int = 50) -> None:
        """Every job ends well, and those that follow from it."""
        for _ in range(rounds):
            names = self.sagemaker.running()
            if not names:
                return
            for name in names:
                self.sagemaker.end(name)
                self.changed(name)
        raise AssertionError(f"jobs after {rounds} rounds: {self.sagemaker.running()}")

    def run(self, path: str) -> None:
        """From a start to rest."""
        self.start(path)
        self.finish_jobs()

    def images(self, path: str = "") -> list[str]:
        return sorted(key for key in self.s3.objects if key.startswith(f"inbox/{path}"))

    def result(self, key: str) -> Result | None:
        stored = self.s3.objects.get(result_key(key))
        return from_json(stored.body) if stored else None

    def answered(self) -> list[str]:
        """The images whose result is for what they are now."""
        results = {key: self.result(key) for key in self.images()}
        return [
            key
            for key, result in results.items()
            if result and result.source.etag == self.s3.objects[key].etag
        ]

    def open_runs(self) -> list[str]:
        return [key for key in self.s3.objects if key.startswith(CLAIMS)]

    def file(self, path: str, name: str) -> str:
        return self.s3.objects[f"outbox/{path}{name}"].body.decode()

    def read_json(self, key: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.s3.objects[key].body)
        return document

    def status(self, path: str) -> dict[str, Any]:
        return self.read_json(f"outbox/{path}_status.json")

    def summary(self, path: str) -> dict[str, Any]:
        return self.read_json(f"outbox/{path}_summary.json")

    def table(self, path: str) -> list[dict[str, str]]:
        text = self.file(path, "predictions.csv").removeprefix("\ufeff")
        return list(csv.DictReader(io.StringIO(text, newline="")))

    def jobs(self) -> list[JobName]:
        return [JobName.parse(name) for name in self.sagemaker.jobs]


def with_late(most: int) -> OnFolder:
    return replace(ON_FOLDER, endpoint_max_late=most)
