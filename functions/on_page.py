"""A page of a run: each of its rows into the outbox, then the marker that it is done."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, assert_never

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from batch.answer import Answer, Unanswered, answer_of, in_outbox, to_line
from batch.bucket import Bucket
from batch.collect import NoReply, outputs, reply_in
from batch.page import Row
from batch.progress import done_key
from batch.slice import LARGE, MB, Direct, Page, Transform, open_page
from domain.keys import MANIFEST_KEY_BYTES, fits_manifest
from domain.reply import Reply
from domain.result import How, Rejected, Result
from functions import runtime
from functions.active import Pointer
from functions.answer import instant, result_of
from functions.classify import ENDPOINT_BYTES, ask
from functions.inbox import Image, Photo, fetch, peek
from functions.intake import Intake
from functions.messages import Advance, parse_page
from functions.outbox import Current, Gone, Outbox, Outcome, Published, settle, withdraw
from functions.outbox import Unanswered as NoAnswer
from functions.post import send
from functions.runtime import THREADS, count, logger
from functions.settings import OnPage, from_env

if TYPE_CHECKING:
    from types_boto3_s3.client import S3Client
    from types_boto3_sagemaker_runtime.client import SageMakerRuntimeClient
    from types_boto3_sqs.client import SQSClient

LARGEST = LARGE.payload_mb * MB


@dataclass(frozen=True, slots=True)
class Pages:
    settings: OnPage
    outbox: Outbox
    sqs: "SQSClient"
    endpoint: "SageMakerRuntimeClient"
    now: Callable[[], datetime]
    threads: int = THREADS

    @property
    def bucket(self) -> Bucket:
        return Bucket(self.outbox.s3, self.outbox.bucket)

    def accept(self, record: SQSRecord) -> None:
        ref = parse_page(record.body)
        page = open_page(self.bucket, self.settings.stage, ref)
        if page is None:
            logger.warning("a page of a run whose files have expired", run=ref.nonce)
            return
        if self.bucket.head(done_key(ref)) is None:
            lines = [to_line(answer) for answer in self._answer(page)]
            self.bucket.put(done_key(ref), "".join(lines))
        send(self.sqs, self.settings.folder_queue_url, Advance(ref.token))

    def _answer(self, page: Page) -> list[Answer]:
        """All rows are tried before trouble with one is raised; those settled are then skipped."""
        answer_row = self._answerer(page)
        with ThreadPoolExecutor(self.threads) as threads:
            futures = [threads.submit(answer_row, row) for row in page.rows]
        failed = sum(each.exception() is not None for each in futures)
        logger.info("page tried", run=page.ref.nonce, rows=len(page.rows), failed=failed)
        return [answer for each in futures if (answer := each.result())]

    def _answerer(self, page: Page) -> Callable[[Row], Answer | None]:
        match page.road:
            case Direct():
                return partial(self._ask_endpoint, page)
            case Transform():
                found = outputs(self.bucket, page.inputs, page.output, page.rows)
                return lambda row: self._collect(
                    page, row, reply_in(self.bucket, found.get(row.key))
                )
            case never:
                assert_never(never)

    def _ask_endpoint(self, page: Page, row: Row) -> Answer | None:
        """Answers the image as it is now, whatever it was when the page was planned."""
        look = partial(fetch, self.outbox.s3, self.outbox.bucket, limit=ENDPOINT_BYTES)
        answer = partial(self._by_endpoint, page)
        return self._line(row, settle(self.outbox, row.key, look, answer), "it has grown too large")

    def _collect(self, page: Page, row: Row, reply: Reply | NoReply) -> Answer | None:
        look = partial(peek, self.outbox.s3, self.outbox.bucket)
        answer = partial(self._by_job, page, row, reply)
        why = reply.why if isinstance(reply, NoReply) else "the image has changed"
        return self._line(row, settle(self.outbox, row.key, look, answer), why)

    def _by_job(self, page: Page, row: Row, reply: Reply | NoReply, image: Image) -> Result | None:
        if isinstance(reply, NoReply) or not row.is_still(image.source.etag, image.last_modified):
            return None
        how = How("batch", str(page.job), page.ref.attempt, instant(self.now()))
        return result_of(image.key, image.source, reply, how)

    def _by_endpoint(self, page: Page, image: Image) -> Result | None:
        how = How("endpoint", None, page.ref.attempt, instant(self.now()))
        if isinstance(image, Photo):
            reply = ask(self.endpoint, self.outbox.active(), image.content)
            return result_of(image.key, image.source, reply, how)
        message = too_large(image)
        return (
            Rejected(image.key, image.source, None, how, "too_large", message) if message else None
        )

    def _line(self, row: Row, outcome: Outcome, why: str) -> Answer | None:
        """What the report is told; an image that has changed is left to the run of its event."""
        match outcome:
            case Published(result):
                count(type(result).__name__)
                return answer_of(result)
            case Current():
                return in_outbox(self.bucket, row.key)
            case NoAnswer(image):
                if row.is_still(image.source.etag, image.last_modified):
                    return Unanswered(row.key, row.etag, why)
                withdraw(self.outbox, row.key)
                return None
            case Gone():
                return None
            case never:
                assert_never(never)


def too_large(image: Image) -> str | None:
    """Why an image that the endpoint cannot take cannot go into a job either; None where it can."""
    if image.source.bytes > LARGEST:
        return f"The image has {image.source.bytes} bytes; at most {LARGEST} can be classified."
    if not fits_manifest(image.key):
        return (
            f"The image has {image.source.bytes} bytes; beyond {ENDPOINT_BYTES} it needs a plainer"
            f" name. Rename it: at most {MANIFEST_KEY_BYTES} bytes, no control characters, no"
            " path segments that are empty or all dots."
        )
    return None


def leave_to_reclassify(key: str) -> None:
    """Not queued: the active model moved during the run, and its rows may be a million."""
    count("AnsweredByAnotherModel")


def door(
    settings: OnPage, s3: "S3Client", sqs: "SQSClient", endpoint: "SageMakerRuntimeClient"
) -> Intake:
    outbox = Outbox(s3, settings.bucket, Pointer(s3, settings.bucket).model, leave_to_reclassify)
    pages = Pages(settings, outbox, sqs, endpoint, runtime.now)
    return Intake(sqs, settings.page_queue_url, settings.retry_base_seconds, pages.accept)


def build(environ: Mapping[str, str]) -> Intake:
    settings = from_env(OnPage, environ)
    return door(settings, runtime.s3(), runtime.sqs(), runtime.sagemaker_runtime())


handler = runtime.lambda_handler(build)
