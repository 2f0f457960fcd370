"""Lambda handler of the inbox and backlog queues: answer single images, debounce folders."""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import partial
from traceback import clear_frames
from typing import TYPE_CHECKING, Any, assert_never

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from aws.bucket import Bucket
from batch.unreadable import LastRead, OtherObjects
from domain import timestamps
from domain.keys import large_key
from domain.model import ActiveModel, EndpointMode
from domain.reply import Reply
from domain.result import How, Result
from domain.route import (
    Ignored,
    InFolder,
    PackedFolder,
    Ready,
    Single,
    endpoint_bytes,
    route,
)
from domain.scope import LARGE_SINGLES
from functions import runtime
from functions.active import CachedPointer
from functions.allowance import Allowances
from functions.answer import result_of, unfit_for_jobs, unreadable
from functions.debounce import Debouncer
from functions.endpoint.classify import ask
from functions.endpoint.expensive import Timeouts, refusal
from functions.endpoint.large import LargeBodies
from functions.endpoint.readiness import NO_ANSWER, Readiness
from functions.inbox import BELIEVED_RECEIVES, Absent, FetchedImage, Image, Unreadable, fetch, peek
from functions.messages import (
    Changed,
    InboxMessage,
    LookAgain,
    NotificationsEnabled,
    Start,
    Unpack,
    parse_inbox,
)
from functions.outbox import Current, Gone, NoAnswer, Outbox, Published, delete_result, reconcile
from functions.runtime import Event, count, log_context, logger
from functions.settings import OnUpload, from_env
from functions.sqs import SqsBatch, look_again, move_to_backlog, receives, send

if TYPE_CHECKING:
    from types_boto3_sagemaker_runtime.client import SageMakerRuntimeClient
    from types_boto3_sqs.client import SQSClient


@dataclass(frozen=True, slots=True)
class Uploads:
    """Handles the messages of the inbox and backlog queues."""

    settings: OnUpload
    outbox: Outbox
    debouncer: Debouncer
    sqs: "SQSClient"
    endpoint: "SageMakerRuntimeClient"
    now: Callable[[], datetime]
    allowances: Allowances
    readiness: Readiness = field(default_factory=Readiness)
    witness: LastRead = field(default_factory=LastRead)
    probe: "SageMakerRuntimeClient | None" = None
    large: LargeBodies = field(default_factory=LargeBodies)

    def accept(self, record: SQSRecord) -> None:
        """Handle every record of the message; raises the first error after all were tried."""
        with ExitStack() as turns:
            for message in reversed(parse_inbox(record.body)):
                turns.callback(self._take, message, receives(record))

    def _take(self, message: InboxMessage, attempt: int) -> None:
        match message:
            case Changed(expired=True) if self.settings.expired_answers == "keep":
                logger.info("the image has expired, and its answer stays", key=message.key)
                count("Expired")
            case Changed():
                with log_context(message.key):
                    if self._is_within_allowance(message):
                        if message.restored:
                            delete_result(self.outbox, message.key, is_restored=True)
                        elif message.removed and is_answered_by_folder(message.key):
                            delete_result(self.outbox, message.key)
                        self._changed(message, attempt)
                    else:
                        move_to_backlog(self.sqs, self.settings.backlog_queue_url, message)
                        count("MovedToBacklog")
            case LookAgain(key, times):
                with log_context(key):
                    self._settle(key, times, attempt)
            case NotificationsEnabled():
                logger.info("notifications are switched on")
            case never:
                assert_never(never)

    def _is_within_allowance(self, change: Changed) -> bool:
        """Whether to handle the change now; changes that cause no S3 calls here are not counted."""
        match route(change.key, self.settings.folder_depth):
            case Single():
                costs = True
            case InFolder(_, folder):
                costs = change.removed or change.restored or not self.debouncer.is_recent(folder)
            case PackedFolder():
                costs = change.removed or change.restored
            case _:
                costs = False
        return change.moved or not costs or self.allowances.has_more(change.uploader)

    def _changed(self, change: Changed, attempt: int) -> None:
        match route(change.key, self.settings.folder_depth):
            case Single(key):
                active = self.outbox.active()
                if is_for_endpoint(change, active.mode):
                    self.readiness.check(self.probe or self.endpoint, active)
                self._settle(key, times=0, attempt=attempt)
            case InFolder(_, folder):
                self.debouncer.debounce(folder)
            case Ready(folder):
                if not change.removed:
                    send(self.sqs, self.settings.folder_queue_url, Start(folder.path))
            case PackedFolder(key):
                send(self.sqs, self.settings.folder_queue_url, Unpack(key))
            case Ignored(reason):
                logger.info("ignored", key=change.key, reason=reason)
                count("Ignored")
            case never:
                assert_never(never)

    def _settle(self, key: str, times: int, attempt: int) -> None:
        again = partial(look_again, self.sqs, self.settings.inbox_queue_url, times)
        look = partial(self._look, attempt)
        answer = partial(self._classify, attempt=attempt)
        outcome = reconcile(replace(self.outbox, look_again=again), key, look, answer)
        match outcome:
            case Published(result):
                logger.info("answered", key=key, status=type(result).__name__)
                count(type(result).__name__)
            case NoAnswer(image):
                self._leave_to_batch(image)
            case Current() | Gone():
                logger.info("nothing to do", key=key, outcome=type(outcome).__name__)
            case never:
                assert_never(never)

    def _look(self, attempt: int, key: str) -> Image | Absent:
        """Read the image, with its content if the endpoint is available.

        Images that do not need the endpoint (absent, or too large for it) do not wait for it. In a
        stage without an endpoint that is all of them; their job reads them.
        """
        active = self.outbox.active()
        limit = endpoint_bytes(active.mode)
        if self.readiness.is_in_doubt or active.endpoint is None:
            image = peek(self.outbox.s3, self.outbox.bucket, key)
            if isinstance(image, Absent) or image.source.bytes > limit:
                return image
        self.readiness.check(self.probe or self.endpoint, active)
        others = OtherObjects(self._bucket, witness=self.witness)
        other_objects = others if attempt >= BELIEVED_RECEIVES else None
        image = fetch(self.outbox.s3, self.outbox.bucket, key, limit, other_objects)
        if isinstance(image, FetchedImage):
            self.witness.key = key
        return image

    @property
    def _bucket(self) -> Bucket:
        return Bucket(self.outbox.s3, self.outbox.bucket)

    def _leave_to_batch(self, image: Image) -> None:
        """Leave an image that the endpoint does not take to Batch Transform.

        A single is marked for the common run of such singles. The marker records the version, so
        that the run deletes only markers of versions that it has answered. Without an endpoint the
        run begins after the time in which singles are gathered, which bounds the number of jobs;
        `functions.on_folder` holds it to that.
        """
        match route(image.key, self.settings.folder_depth):
            case InFolder(_, folder):
                self.debouncer.debounce(folder)
            case _:
                marker = {
                    "version": asdict(image.source),
                    "at": timestamps.to_text(image.last_modified),
                }
                self._bucket.put(large_key(image.key), json.dumps(marker))
                is_gathered = self.outbox.active().endpoint is None
                seconds = self.settings.singles_gather_seconds if is_gathered else None
                self.debouncer.debounce(LARGE_SINGLES, seconds)

    def _classify(self, image: Image, attempt: int) -> Result | None:
        """None where a job has to answer. The mode may have changed since the image was read."""
        how = How("endpoint", None, attempt, timestamps.to_text(self.now()))
        if isinstance(image, Unreadable):
            return unreadable(image, how)
        active = self.outbox.active()
        limit = endpoint_bytes(active.mode)
        if not isinstance(image, FetchedImage) or image.source.bytes > limit:
            if reply := self._ask_large(image, active):
                return result_of(image.key, image.source, reply, how)
            return unfit_for_jobs(image, how, limit)
        timeouts = Timeouts(self._bucket, self.probe or self.endpoint)
        with self.readiness.watch():
            reply = timeouts.ask(self.endpoint, active, image)
        if active.mode == "serverless" and reply == refusal(active):
            return None  # or its container took the time to start: a job finds out
        return result_of(image.key, image.source, reply, how)

    def _ask_large(self, image: Image, active: ActiveModel) -> Reply | None:
        """None where the endpoint takes no such image, or is in doubt: a job answers it then."""
        if active.mode != "instance" or self.readiness.is_in_doubt:
            return None
        if not self.large.are_asked_about(image.source.bytes):
            return None
        look = partial(fetch, self.outbox.s3, self.outbox.bucket, image.key)
        invoke = partial(ask, self.endpoint, active)
        try:
            return self.large.ask(image, look, invoke, self.readiness)
        except NO_ANSWER as error:
            clear_frames(error.__traceback__)  # they hold the body, and the batch keeps the error
            raise


def is_answered_by_folder(key: str) -> bool:
    """Whether the folder queue's function answers this key: an image of a folder, or an archive."""
    return isinstance(route(key), InFolder | PackedFolder)


def is_for_endpoint(change: Changed, mode: EndpointMode) -> bool:
    """Whether the endpoint will be needed, according to the event alone."""
    return not change.removed and change.size is not None and change.size <= endpoint_bytes(mode)


def build(environ: Mapping[str, str]) -> Callable[[Event], Any]:
    settings = from_env(OnUpload, environ)
    s3, sqs = runtime.s3(), runtime.sqs()
    folder_queue = settings.folder_queue_url
    beats = Debouncer(s3, settings.bucket, sqs, folder_queue, settings.folder_quiet_seconds)
    pointer = CachedPointer(s3, settings.bucket)
    again = partial(look_again, sqs, settings.inbox_queue_url, 0)
    outbox = Outbox(s3, settings.bucket, pointer.model, again)
    allowances = Allowances(settings.uploader_burst)
    endpoint, probe = runtime.sagemaker_runtime(), runtime.sagemaker_probe()
    uploads = Uploads(settings, outbox, beats, sqs, endpoint, runtime.now, allowances, probe=probe)
    return make_batch(settings, sqs, uploads)


def make_batch(settings: OnUpload, sqs: "SQSClient", uploads: Uploads) -> Callable[[Event], Any]:
    """One function serves both queues; the messages of one event come from the same queue."""
    seconds = settings.retry_base_seconds
    intakes = {
        url.rpartition("/")[2]: SqsBatch(sqs, url, seconds, uploads.accept)
        for url in (settings.inbox_queue_url, settings.backlog_queue_url)
    }

    def take(event: Event) -> Any:
        return intakes[event["Records"][0]["eventSourceARN"].rpartition(":")[2]](event)

    return take


handler = runtime.lambda_handler(build)
