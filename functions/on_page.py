"""Lambda handler of the page queue: publish the results of one page (up to 500 rows) of a run."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, assert_never

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from aws.bucket import Bucket, Listed
from batch.jobs.collect import NoReply, outputs, reply_in
from batch.jobs.output_names import SUFFIX
from batch.jobs.progress import done_key, failed_key, read_answered, write_answered
from batch.outcome import Answer, Unanswered, answer_of, in_outbox, to_line
from batch.planning.slice import FEW_LARGE, Page, Row, ViaEndpoint, ViaTransform, open_page
from batch.unreadable import LastRead, OtherObjects
from domain import timestamps
from domain.keys import LAST_COMPANION
from domain.model import ActiveModel
from domain.reply import Reply
from domain.result import How, Result
from domain.route import ENDPOINT_BYTES, endpoint_bytes
from functions import runtime
from functions.active import CachedPointer
from functions.answer import result_of, unfit_for_jobs, unreadable
from functions.endpoint.expensive import MOST_TIMEOUTS, Timeouts, refusal
from functions.endpoint.readiness import Readiness
from functions.inbox import BELIEVED_RECEIVES, FetchedImage, Image, Unreadable, fetch, peek
from functions.messages import Advance, parse_page
from functions.outbox import (
    Current,
    Gone,
    Look,
    NoAnswer,
    Outbox,
    Outcome,
    Published,
    delete_result,
    reconcile,
)
from functions.runtime import THREADS, count, logger
from functions.settings import OnPage, from_env
from functions.sqs import SqsBatch, receives, send

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client
    from types_boto3_sagemaker_runtime.client import SageMakerRuntimeClient
    from types_boto3_sqs.client import SQSClient

ROW_RECEIVES = 20
"""From this receive on (after about 20 minutes), failing rows are given up if the rest works."""

PAGE_RECEIVES = 400
"""From this receive on (after 5 to 10 hours), failing rows are given up in any case, so that the
run can end and report them."""

FEW_ROWS = 3
"""Up to this many failing rows can be given up even if they are most of the page."""

WHY_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Pages:
    """Handles the messages of the page queue."""

    settings: OnPage
    outbox: Outbox
    sqs: "SQSClient"
    endpoint: "SageMakerRuntimeClient"
    now: Callable[[], datetime]
    threads: int = THREADS
    probe: "SageMakerRuntimeClient | None" = None
    readiness: Readiness = field(default_factory=Readiness)
    witness: LastRead = field(default_factory=LastRead)

    @property
    def bucket(self) -> Bucket:
        return Bucket(self.outbox.s3, self.outbox.bucket)

    def _others(self, by_head: bool = False) -> OtherObjects:
        return OtherObjects(self.bucket, by_head, self.witness)

    @property
    def timeouts(self) -> Timeouts:
        return Timeouts(self.bucket, self.probe or self.endpoint)

    def accept(self, record: SQSRecord) -> None:
        """Handle one page: publish its rows, write its done marker, and advance its run.

        Raises the first row's error if the page is to be retried.
        """
        ref = parse_page(record.body)
        page = open_page(self.bucket, self.settings.stage, ref)
        if page is None:
            logger.warning("a page of a run whose files have expired", run=ref.nonce)
            return
        if self.bucket.head(done_key(ref)) is None:
            lines = self._answer(page, receives(record))
            self.bucket.put(done_key(ref), "".join(lines))
        send(self.sqs, self.settings.folder_queue_url, Advance(ref.token))

    def _answer(self, page: Page, received: int) -> list[str]:
        """The report lines of the page. Every row is tried before the error of one is raised.

        The lines of finished rows are stored next to the marker, so that a retry processes only the
        remaining rows. After enough retries the failing rows are given up.
        """
        lines_by_key = read_answered(self.bucket, page.ref)
        left = [row for row in page.rows if row.key not in lines_by_key]
        answer_row = self._answer_function(page, self._others(), received)
        with ThreadPoolExecutor(self.threads) as threads:
            futures = {row.key: threads.submit(answer_row, row) for row in left}
        failed = {key: why for key, future in futures.items() if (why := future.exception())}
        for key, future in futures.items():
            if key not in failed:
                answer = future.result()
                lines_by_key[key] = to_line(answer) if answer else ""
        logger.info("page tried", run=page.ref.nonce, rows=len(left), failed=len(failed))
        if failed and not self._gives_up(failed, page, received):
            if len(failed) < len(left):
                write_answered(self.bucket, page.ref, lines_by_key)
            raise next(iter(failed.values()))
        for row in left:
            if row.key in failed:
                count("GivenUp")
                reason = f"{type(failed[row.key]).__name__}: {failed[row.key]}"[:WHY_CHARACTERS]
                logger.warning("gave a row up", key=row.key, receives=received, why=reason)
                lines_by_key[row.key] = to_line(Unanswered(row.key, row.etag, reason))
        return [lines_by_key[row.key] for row in page.rows]

    def _gives_up(self, failed: Mapping[str, BaseException], page: Page, received: int) -> bool:
        """Whether to give up the rows that failed, because the cause seems to be the rows.

        That is so if other images can be read, the endpoint answers, and most rows succeed.
        """
        if received < ROW_RECEIVES or received >= PAGE_RECEIVES:
            return received >= PAGE_RECEIVES
        if len(failed) > max(FEW_ROWS, len(page.rows) // 2):
            return False
        key = next(iter(failed))
        are_read = self._others().are_readable(key) and self._others(by_head=True).are_readable(key)
        active = self.outbox.active()
        return are_read and (active.endpoint is None or self.timeouts.is_healthy(active))

    def _answer_function(
        self, page: Page, others: OtherObjects, received: int
    ) -> Callable[[Row], Answer | None]:
        other_objects = others if received >= BELIEVED_RECEIVES else None
        match page.route:
            case ViaEndpoint():
                return partial(self._ask_endpoint, page, other_objects)
            case ViaTransform():
                listing = outputs(self.bucket, page.inputs, page.output, page.rows, page.manifest)
                has_failed = len(listing) < len(page.rows) and bool(
                    self.bucket.head(failed_key(page.ref))
                )
                is_healthy = has_failed and any(map(self.bucket.page, page.healthy))
                is_through = is_healthy and any(
                    listed.key.endswith(f"{LAST_COMPANION}{SUFFIX}")
                    for listed in islice(self.bucket.walk(page.output), 2 * FEW_LARGE)
                )
                collected = TransformOutputs(
                    page, other_objects, listing, has_failed, is_healthy, is_through
                )
                return lambda row: self._collect(
                    collected, row, reply_in(self.bucket, listing.get(row.key))
                )
            case never:
                assert_never(never)

    def _ask_endpoint(self, page: Page, others: OtherObjects | None, row: Row) -> Answer | None:
        """Answers the image as it is now, whatever it was when the page was planned.

        Without an endpoint it rejects what no job takes, and leaves the rest to the next attempt.
        """
        active = self.outbox.active()
        self.readiness.check(self.probe or self.endpoint, active)
        limit = endpoint_bytes(active.mode)
        look = partial(fetch, self.outbox.s3, self.outbox.bucket, limit=limit, others=others)
        answer = partial(self._by_endpoint, page, active)
        why = "it has grown too large" if active.endpoint else "it could not be read before"
        return self._line(row, reconcile(self.outbox, row.key, look, answer), why)

    def _collect(self, job: "TransformOutputs", row: Row, reply: Reply | NoReply) -> Answer | None:
        """If the job has no reply, try to read the image, without its content, to find out why."""
        look: Look = partial(peek, self.outbox.s3, self.outbox.bucket)
        if isinstance(reply, NoReply):
            look = partial(fetch, self.outbox.s3, self.outbox.bucket, limit=-1, others=job.others)
        answer = partial(self._by_job, job, row, reply)
        why = reply.why if isinstance(reply, NoReply) else "the image has changed"
        return self._line(row, reconcile(self.outbox, row.key, look, answer), why)

    def _by_job(
        self, job: "TransformOutputs", row: Row, reply: Reply | NoReply, image: Image
    ) -> Result | None:
        how = How("batch", str(job.page.job), job.page.ref.attempt, timestamps.to_text(self.now()))
        if isinstance(image, Unreadable):
            return unreadable(image, how)
        if not row.is_still(image.source.version, image.last_modified):
            return None
        if not isinstance(reply, NoReply):
            return result_of(image.key, image.source, reply, how)
        active = self.outbox.active()
        if not job.is_odd(row):
            return None
        works = job.has_neighbours or job.page.jobs_only  # whose companion was answered
        if not works and not self.timeouts.is_healthy(active):
            return None
        if self.timeouts.note(image, active, str(job.page.job)) < MOST_TIMEOUTS:
            return None
        return result_of(image.key, image.source, refusal(active), how)

    def _by_endpoint(self, page: Page, active: ActiveModel, image: Image) -> Result | None:
        how = How("endpoint", None, page.ref.attempt, timestamps.to_text(self.now()))
        if isinstance(image, Unreadable):
            return unreadable(image, how)
        if isinstance(image, FetchedImage):
            with self.readiness.watch():
                reply = self.timeouts.ask(self.endpoint, active, image)
            return result_of(image.key, image.source, reply, how)
        return unfit_for_jobs(image, how, endpoint_bytes(active.mode))

    def _line(self, row: Row, outcome: Outcome, why: str) -> Answer | None:
        """The row's entry in the report; None for an image that has changed or was removed.

        A changed image is answered by the run that its own event starts.
        """
        match outcome:
            case Published(result):
                count(type(result).__name__)
                return answer_of(result)
            case Current():
                return in_outbox(self.bucket, row.key)
            case NoAnswer(image):
                if row.is_still(image.source.version, image.last_modified):
                    delete_result(self.outbox, row.key)  # the result of an earlier version
                    return Unanswered(row.key, row.etag, why)
                delete_result(self.outbox, row.key)
                return None
            case Gone():
                return None
            case never:
                assert_never(never)


@dataclass(frozen=True, slots=True)
class TransformOutputs:
    """A page of a job that has ended, and the job's outputs for it.

    `others`: objects to compare a denied image with; None as long as denials are only retried.
    `has_failed`: the job failed on at least one object. `is_healthy`: other jobs have outputs.
    `is_through`: the job answered the companion behind its last image.
    """

    page: Page
    others: OtherObjects | None
    listing: Mapping[str, Listed]
    has_failed: bool
    is_healthy: bool
    is_through: bool

    @property
    def has_neighbours(self) -> bool:
        """Whether most of the page has outputs, so that the job itself worked."""
        return 2 * len(self.listing) >= len(self.page.rows)

    def is_odd(self, row: Row) -> bool:
        """Whether a working job failed on this row, which suggests that the image is the cause.

        Either the job answered most of the page, or it had only a few large images: those left over
        by an earlier attempt may all be bad. Small images are sent to the endpoint instead, or are
        retried in an attempt with others, unless the run has its jobs alone.

        Jobs of large images send one request at a time, in the order of the page. The job may have
        ended at the first image without an output, and not have tried those after it.
        """
        is_asked_alone = row.size > ENDPOINT_BYTES or self.page.jobs_only
        is_few = len(self.page.rows) <= FEW_LARGE and is_asked_alone
        alone = is_few and self.is_healthy and self._was_tried(row)
        gave_up = self.has_failed and row.key not in self.listing
        return gave_up and (self.has_neighbours or alone)

    def _was_tried(self, row: Row) -> bool:
        first = next(key for key in (row.key for row in self.page.rows) if key not in self.listing)
        return self.is_through or (self.page.ref.page == 0 and row.key == first)


def leave_to_reclassify(key: str) -> None:
    """Do nothing but count: the active model changed during a run, whose rows may be a million.

    The reclassification that follows a change of models answers them.
    """
    count("AnsweredByAnotherModel")


def make_batch(
    settings: OnPage,
    s3: "S3Client",
    sqs: "SQSClient",
    endpoint: "SageMakerRuntimeClient",
    probe: "SageMakerRuntimeClient | None" = None,
) -> SqsBatch:
    active = CachedPointer(s3, settings.bucket).model
    outbox = Outbox(s3, settings.bucket, active, leave_to_reclassify)
    pages = Pages(settings, outbox, sqs, endpoint, runtime.now, probe=probe)
    return SqsBatch(sqs, settings.page_queue_url, settings.retry_base_seconds, pages.accept)


def build(environ: Mapping[str, str]) -> SqsBatch:
    settings = from_env(OnPage, environ)
    endpoint, probe = runtime.sagemaker_runtime(), runtime.sagemaker_probe()
    return make_batch(settings, runtime.s3(), runtime.sqs(), endpoint, probe)


handler = runtime.lambda_handler(build)
