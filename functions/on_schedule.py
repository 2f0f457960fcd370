"""Scheduled Lambda handler: advance every open run, in case a message about it was lost, and the
archives that are being unpacked.

Each tick continues after the last claim of the previous one, in the order of their keys, and wraps
around. With N open runs, each is advanced at least once in N / RUNS_PER_TICK + 1 ticks.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from itertools import chain, islice, takewhile
from typing import TYPE_CHECKING, Any

from aws.bucket import Bucket, Listed
from batch.context import Limits
from batch.jobs import slots
from domain.keys import ARCHIVES, CLAIMS, TICK, claimed_token, ticket_since
from functions import runtime
from functions.messages import Advance, NextArchive
from functions.runtime import Event, count, logger, metrics
from functions.settings import OnSchedule, from_env
from functions.sqs import send

if TYPE_CHECKING:
    from types_boto3_sqs.client import SQSClient

RUNS_PER_TICK = 2_000
"""The most runs that one tick advances: about 20 s of sending, and three LISTs. The other runs have
their timers, job events and pages, and the next tick."""

RUNS_PER_CHECKPOINT = 100
"""The position is stored after this many runs, so that the next tick continues after a crash."""


def advance_runs(bucket: Bucket, sqs: "SQSClient", folder_queue_url: str) -> int:
    """Send an Advance message for each open run; returns how many were sent."""
    sent = 0
    for sent, claim in enumerate(islice(_in_turn(bucket), RUNS_PER_TICK), start=1):
        send(sqs, folder_queue_url, Advance(claimed_token(claim.key)))
        if sent % RUNS_PER_CHECKPOINT == 0:
            bucket.put(TICK, claim.key)
    logger.info("swept", open_runs=sent)
    count("OpenRuns", sent)
    return sent


def advance_archives(bucket: Bucket, sqs: "SQSClient", folder_queue_url: str) -> None:
    """Send one message if there are archives to unpack: they take turns by themselves after it."""
    if bucket.page(ARCHIVES):
        send(sqs, folder_queue_url, NextArchive(""))


def _in_turn(bucket: Bucket) -> Iterator[Listed]:
    """Each claim once, beginning after the last one that was advanced, and wrapping around.

    The existence of the stored position is checked by listing: without the right to list a prefix,
    S3 answers 403 for an absent key.
    """
    stored = bucket.read(TICK) if any(bucket.walk(TICK)) else None
    last = stored.body.decode() if stored else ""
    earlier = takewhile(lambda claim: claim.key <= last, bucket.walk(CLAIMS)) if last else ()
    return chain(bucket.walk(CLAIMS, last), earlier)


def measure_queue(bucket: Bucket, now: datetime) -> None:
    """Publish metrics: how many runs wait for a transform job, and for how long, in seconds."""
    line = slots.waiting(bucket, now, Limits())
    oldest = (now - ticket_since(line[0].key)).total_seconds() if line else 0.0
    count("RunsWaiting", len(line))
    metrics.add_metric(name="LongestRunWait", unit="Seconds", value=oldest)


def build(environ: Mapping[str, str]) -> Callable[[Event], Any]:
    settings = from_env(OnSchedule, environ)
    bucket = Bucket(runtime.s3(), settings.bucket)

    def tick(event: Event) -> int:
        measure_queue(bucket, runtime.now())
        advance_archives(bucket, runtime.sqs(), settings.folder_queue_url)
        return advance_runs(bucket, runtime.sqs(), settings.folder_queue_url)

    return tick


handler = runtime.lambda_handler(build)
