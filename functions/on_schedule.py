"""The clock: every open run is asked to go on, in case what should have told it was lost."""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from batch.bucket import Bucket
from domain.keys import CLAIMS, claimed_token
from functions import runtime
from functions.messages import Advance
from functions.post import send
from functions.runtime import Event, count, logger
from functions.settings import OnSchedule, from_env

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

MOST = 2_000
"""Runs that one tick reaches, first by key: some 20 s of sending. With more of them open, the later
ones still have their timers, job events and pages, and move up as the earlier ones end."""


def sweep(bucket: Bucket, sqs: "SQSClient", folder_queue_url: str) -> int:
    """Returns how many runs were asked to go on."""
    claims = list(islice(bucket.walk(CLAIMS), MOST))
    for claim in claims:
        send(sqs, folder_queue_url, Advance(claimed_token(claim.key)))
    logger.info("swept", open_runs=len(claims))
    count("OpenRuns", len(claims))
    return len(claims)


def build(environ: Mapping[str, str]) -> Callable[[Event], Any]:
    settings = from_env(OnSchedule, environ)
    bucket = Bucket(runtime.s3(), settings.bucket)
    return lambda event: sweep(bucket, runtime.sqs(), settings.folder_queue_url)


handler = runtime.lambda_handler(build)
