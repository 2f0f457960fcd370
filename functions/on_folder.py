"""Lambda handler of the folder queue: begin and advance runs of folders and reclassifications, and
unpack archives."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from math import ceil
from typing import TYPE_CHECKING, assert_never, cast

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from aws.bucket import Bucket
from aws.event_bus import put_event
from batch import lease
from batch.claim import Run
from batch.context import Context, TransformResources
from batch.jobs.progress import PartStage
from batch.planning.slice import PageRef
from batch.reports import training_notice
from batch.reports.change_report import PAGE
from batch.reports.changes import Changes
from batch.reports.folder_page import PAGE as FOLDER_PAGE
from batch.reports.training_notice import TrainingEnded
from batch.run import Closed, Failed, Finished, Waiting, advance, begin, find
from domain.keys import RunKeys, training_notice_key
from domain.scope import Scope
from functions import runtime
from functions.active import CachedPointer
from functions.archives import Archives
from functions.debounce import (
    is_overdue,
    is_quiet,
    last_timer,
    stop_waiting,
    waited_seconds,
)
from functions.endpoint.thumbnails import Thumbnails
from functions.messages import (
    Advance,
    ForeignJob,
    JobChanged,
    NextArchive,
    QuietTimer,
    Reclassify,
    Start,
    Unpack,
    parse_folder,
)
from functions.runtime import count, logger
from functions.settings import OnFolder, from_env
from functions.sqs import LONGEST_DELAY_SECONDS, SqsBatch, receives, send

if TYPE_CHECKING:
    from types_boto3_events.client import EventBridgeClient
    from types_boto3_s3.client import S3Client
    from types_boto3_sagemaker.client import SageMakerClient
    from types_boto3_sagemaker.literals import TransformInstanceTypeType
    from types_boto3_sagemaker_runtime.client import SageMakerRuntimeClient
    from types_boto3_sqs.client import SQSClient


RECLASSIFY_DELAY_SECONDS = 5
"""The delay of a queued reclassification; the previous one has deleted its claim by then."""


REPEAT_STEP_SECONDS = 30
"""An invocation takes another step only within this time of its start, as a step can take up to
six minutes."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Handles the messages of the folder queue."""

    context: Context
    archives: Archives
    flip_alarm_percent: int
    longest_wait_seconds: int
    gather_seconds: int
    later: Callable[[QuietTimer, int], None]
    """Sends a timer again, which arrives after so many seconds."""

    def accept(self, record: SQSRecord) -> None:
        """Handle one message. Raises MalformedError, and errors of AWS, which SQS retries."""
        message = parse_folder(record.body, self.context.stage)
        match message:
            case QuietTimer(path) as timer:
                if self._is_due(timer):
                    self._begin(Scope(path))
            case Start(path):
                self._begin(Scope(path))
            case Reclassify(path, kind, confirmed):
                self._advance(begin(self.context, Scope(path, kind), confirmed))
            case Advance(token) | JobChanged(RunKeys(token)):
                # A job's event is a hint to advance the live run, even if it belongs to an earlier
                # one.
                self._advance(find(self.context, token))
            case Unpack() | NextArchive():
                self.archives.accept(message, receives(record))
            case TrainingEnded() | ForeignJob():
                self._tell_training(message)
            case never:
                assert_never(never)

    def _tell_training(self, message: TrainingEnded | ForeignJob) -> None:
        if isinstance(message, ForeignJob):
            logger.info("not our job", job=message.job)
        elif not training_notice.give(self.context, message):
            notice = training_notice_key(message.job)
            logger.error("gave a notice up", job=message.job, notice=notice)
            count("NoticeLost")

    def _is_due(self, timer: QuietTimer) -> bool:
        s3, bucket = self.context.bucket.client, self.context.bucket.name
        if Scope(timer.path).is_large_singles and self.context.active_model().endpoint is None:
            return self._are_gathered(timer)
        if is_quiet(s3, bucket, timer):
            return True
        wait = self.longest_wait_seconds
        return is_overdue(s3, bucket, Scope(timer.path), self.context.now(), wait)

    def _are_gathered(self, timer: QuietTimer) -> bool:
        """Whether the first single since the last run has waited for `gather_seconds`.

        Every job is billed for minutes, however few its images, so that singles do not begin one
        whenever they are quiet. If they have not waited long enough, the last timer comes again.
        """
        s3, bucket = self.context.bucket.client, self.context.bucket.name
        waited = waited_seconds(s3, bucket, Scope(timer.path), self.context.now())
        is_last = is_quiet(s3, bucket, timer)
        if waited is None or waited >= self.gather_seconds:
            return waited is not None or is_last
        if is_last:
            self.later(timer, ceil(self.gather_seconds - waited))
        return False

    def _begin(self, scope: Scope) -> None:
        """Begin a run and advance it.

        If the run was open already, it does not list images that arrived since: keep the waiting
        object, so that the next run answers them.
        """
        run = begin(self.context, scope)
        if scope.gathers and not run.again:
            stop_waiting(self.context.bucket.client, self.context.bucket.name, scope)
        self._advance(run)

    def _advance(self, run: Run | None) -> None:
        """Advance the run under its lease.

        If another process asks for the run meanwhile, it is advanced once more, either here or, if
        time is short, by the next scheduled tick.
        """
        until = self.context.now() + timedelta(seconds=REPEAT_STEP_SECONDS)
        again = True
        while run and again:
            token = run.scope.token
            holder = lease.acquire(self.context, token)
            if holder is None:
                logger.info("another process is at it", folder=run.path, run=run.nonce)
                return
            try:
                with lease.keep_renewed(self.context, token, holder):
                    self._step(run)
            finally:
                again = lease.release(self.context, token, holder)
            run = find(self.context, token) if again and self.context.now() < until else None
        logger.info("nothing more to do")

    def _step(self, run: Run) -> None:
        progress = advance(self.context, run)
        logger.info("advanced", folder=run.path, run=run.nonce, progress=type(progress).__name__)
        match progress:
            case Finished(counts):
                count("RunFinished")
                if isinstance(counts, Changes):
                    self._tell_changes(run, counts)
                elif counts.drift and counts.drift["alarm"]:
                    logger.warning("low scores", report=run.file(FOLDER_PAGE), **counts.drift)
                    count("ScoreDrift")
            case Failed(reason):
                logger.error("run failed", folder=run.path, run=run.nonce, reason=reason)
                count("RunFailed")
            case Waiting(PartStage.NO_CAPACITY):
                count("NoCapacity")
            case Waiting() | Closed():
                pass
            case never:
                assert_never(never)
        if isinstance(progress, Finished | Failed) and not progress.is_notified:
            logger.error("gave a notice up", run=run.nonce, notice=run.keys.notice)
            count("NoticeLost")

    def _tell_changes(self, run: Run, changes: Changes) -> None:
        count("Flipped", changes.flipped)
        percent = round(changes.flipped_percent, 1)
        logger.info("swept", run=run.nonce, renewed=changes.renewed, flipped_percent=percent)
        if changes.flipped_percent > self.flip_alarm_percent:
            logger.warning("many answers flipped", report=run.file(PAGE), percent=percent)
            count("ManyFlipped")


def make_context(
    settings: OnFolder,
    s3: "S3Client",
    sqs: "SQSClient",
    sagemaker: "SageMakerClient",
    endpoint: "SageMakerRuntimeClient",
    events: "EventBridgeClient",
) -> Context:
    # Not cached: a promotion starts a reclassification right after it moves the pointer.
    pointer = CachedPointer(s3, settings.bucket, max_age=0)
    machines = cast("TransformInstanceTypeType", settings.transform_instance_type)
    kms_key = None if settings.kms_key == "none" else settings.kms_key
    return Context(
        bucket=Bucket(s3, settings.bucket),
        sagemaker=sagemaker,
        stage=settings.stage,
        resources=TransformResources(machines, settings.transform_instance_count, kms_key),
        folder_depth=settings.folder_depth,
        endpoint_max_late=settings.endpoint_max_late,
        endpoint_max_first=settings.endpoint_max_first,
        active_model=pointer.model,
        send_page=partial(_send_page, settings, sqs),
        look_later=partial(look_later, settings, s3, sqs),
        now=runtime.now,
        new_nonce=partial(secrets.token_hex, 5),
        advance_later=partial(_go_on, settings, sqs),
        unpack_later=partial(_unpack, settings, sqs),
        notify=partial(put_event, events),
        thumbnail=Thumbnails(s3, settings.bucket, endpoint, pointer.model).of,
        jobs_at_once=settings.transform_jobs,
        reclassify_jobs=settings.reclassify_jobs,
        confirm_above=settings.reclassify_ask_above,
        review_below=settings.review_below_percent / 100,
        keeps_answers=settings.expired_answers == "keep",
    )


def _send_page(settings: OnFolder, sqs: "SQSClient", page: PageRef) -> None:
    send(sqs, settings.page_queue_url, page)


def _go_on(settings: OnFolder, sqs: "SQSClient", token: str) -> None:
    send(sqs, settings.folder_queue_url, Advance(token))


def _unpack(settings: OnFolder, sqs: "SQSClient", archive: str) -> None:
    send(sqs, settings.folder_queue_url, Unpack(archive))


def look_later(
    settings: OnFolder, s3: "S3Client", sqs: "SQSClient", scope: Scope, confirmed: bool
) -> None:
    """Queue another run of the scope: a reclassification, or a folder's latest timer again.

    If images are still arriving in the folder, a later timer replaces that one.
    """
    if scope.is_reclassification:
        message = Reclassify(scope.path, scope.kind, confirmed)
        send(sqs, settings.folder_queue_url, message, RECLASSIFY_DELAY_SECONDS)
        return
    timer = last_timer(s3, settings.bucket, scope) or Start(scope.path)
    send(sqs, settings.folder_queue_url, timer, settings.folder_quiet_seconds)


def send_timer(settings: OnFolder, sqs: "SQSClient", timer: QuietTimer, seconds: int) -> None:
    send(sqs, settings.folder_queue_url, timer, min(seconds, LONGEST_DELAY_SECONDS))


def make_batch(
    settings: OnFolder,
    s3: "S3Client",
    sqs: "SQSClient",
    sagemaker: "SageMakerClient",
    endpoint: "SageMakerRuntimeClient",
    events: "EventBridgeClient",
) -> SqsBatch:
    context = make_context(settings, s3, sqs, sagemaker, endpoint, events)
    folders = Folders(
        context,
        Archives(context, partial(send, sqs, settings.folder_queue_url)),
        settings.flip_alarm_percent,
        settings.folder_longest_wait_seconds,
        settings.singles_gather_seconds,
        partial(send_timer, settings, sqs),
    )
    accept = folders.accept
    return SqsBatch(sqs, settings.folder_queue_url, settings.retry_base_seconds, accept)


def build(environ: Mapping[str, str]) -> SqsBatch:
    settings = from_env(OnFolder, environ)
    clients = runtime.s3(), runtime.sqs(), runtime.sagemaker(), runtime.sagemaker_runtime()
    return make_batch(settings, *clients, runtime.events())


handler = runtime.lambda_handler(build)
