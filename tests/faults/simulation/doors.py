"""The product's doors, made as their handlers make them, over the in-memory cloud."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, cast

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from aws.bucket import Bucket
from batch import claim
from batch.context import Context, Limits
from domain import timestamps
from domain.model import ActiveModel
from domain.scope import RECLASSIFICATION, Scope
from functions import on_folder
from functions.allowance import Allowances
from functions.archives import Archives
from functions.debounce import Debouncer
from functions.endpoint.readiness import Readiness
from functions.on_folder import Folders, send_timer
from functions.on_page import Pages, leave_to_reclassify
from functions.on_schedule import advance_archives, advance_runs
from functions.on_upload import Uploads
from functions.outbox import Outbox
from functions.sqs import SqsBatch, send
from infra.reclassify import Reclassifier
from tests.faults.simulation.jobs import Jobs
from tests.faults.simulation.queues import Queues
from tests.faults.simulation.storage import Storage
from tests.support.fakes.aws import FakeEvents
from tests.support.worlds.folders import ON_FOLDER, ON_PAGE
from tests.support.worlds.uploads import SETTINGS, FakeEndpoint, active

INBOX, FOLDER = SETTINGS.inbox_queue_url, SETTINGS.folder_queue_url
BACKLOG = SETTINGS.backlog_queue_url
PAGE = ON_FOLDER.page_queue_url
POINTER_SECONDS = 5.0
PROCESSES = 4
RETRY_BASE_SECONDS = 5
BURST = 2
"""Who drops a quarter of the uploads has two a minute and a process, and often more."""

SETTINGS_OF_FOLDERS = replace(ON_FOLDER, endpoint_max_late=20, reclassify_jobs=2, transform_jobs=2)
BOUNDS = Limits(
    slice_rows=200,
    page_rows=50,
    reclassify_rows=400,
    heads_at_once=1,
    unpack_entries=5,
    unpack_seconds=0,
)
"""One look at a time: with several threads a seed would not decide all."""

Accept = Callable[[SQSRecord], None]


@dataclass
class Doors:
    """Several processes of on_upload, each with a memory of its own that dies with it."""

    storage: Storage
    queues: Queues
    jobs: Jobs
    endpoint: FakeEndpoint
    events: FakeEvents
    now: Callable[[], float]
    active_number: int = 1
    given_up: dict[str, tuple[str, str]] = field(default_factory=dict)
    """From when until when sweeps lived that somebody ended, by their nonces."""
    _seen: tuple[int, float] = (1, 0.0)
    _uploads: list[Uploads] = field(default_factory=list)
    _nonces: "itertools.count[int]" = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self._uploads = [self._upload_process() for _ in range(PROCESSES)]

    def intake(self, url: str, process: int) -> SqsBatch:
        return SqsBatch(self._sqs, url, RETRY_BASE_SECONDS, self._accept(url, process))

    def restart(self, process: int) -> None:
        self._uploads[process] = self._upload_process()

    def advance_runs(self) -> int:
        advance_archives(self._bucket, self._sqs, FOLDER)
        return advance_runs(self._bucket, self._sqs, FOLDER)

    def halt(self, for_good: bool) -> None:
        desk = Reclassifier(self._context(), self._sqs, FOLDER)
        if for_good:
            if ended := desk.end():
                self.given_up[ended.nonce] = (ended.started_at, timestamps.to_text(self._clock()))
        else:
            desk.stop()

    def waits_for_somebody(self) -> Scope | None:
        """The live sweep's, if it was stopped, or is larger than what nobody confirmed may be."""
        found = claim.read(self._bucket, RECLASSIFICATION)
        return found.run.scope if found and (found.run.paused or not found.run.confirmed) else None

    @property
    def _bucket(self) -> Bucket:
        return Bucket(cast(Any, self.storage), "bucket")

    @property
    def _sqs(self) -> Any:
        return self.queues

    def _model(self) -> ActiveModel:
        """As a process knows it: at most some seconds late."""
        if self.now() - self._seen[1] > POINTER_SECONDS:
            self._seen = (self.active_number, self.now())
        return active(self._seen[0])

    def _clock(self) -> datetime:
        return self.storage.clock.now

    def _accept(self, url: str, process: int) -> Accept:
        if url in (INBOX, BACKLOG):
            return self._uploads[process].accept
        if url == FOLDER:
            flips, wait = ON_FOLDER.flip_alarm_percent, ON_FOLDER.folder_longest_wait_seconds
            context = self._context()
            archives = Archives(context, partial(send, self._sqs, FOLDER))
            gather = ON_FOLDER.singles_gather_seconds
            later = partial(send_timer, ON_FOLDER, self._sqs)
            return Folders(context, archives, flips, wait, gather, later).accept
        endpoint = cast(Any, self.endpoint)
        return Pages(ON_PAGE, self._outbox(), self._sqs, endpoint, self._clock, threads=1).accept

    def _upload_process(self) -> Uploads:
        s3, sqs, endpoint = self._bucket.client, self._sqs, cast(Any, self.endpoint)
        beats = Debouncer(s3, "bucket", sqs, FOLDER, SETTINGS.folder_quiet_seconds, self.now)
        outbox, readiness = self._outbox(), Readiness(self.now)
        allowances = Allowances(BURST, self.now)
        return Uploads(
            SETTINGS, outbox, beats, sqs, endpoint, self._clock, allowances, readiness=readiness
        )

    def _outbox(self) -> Outbox:
        return Outbox(self._bucket.client, "bucket", self._model, leave_to_reclassify)

    def _context(self) -> Context:
        sagemaker, endpoint = cast(Any, self.jobs), cast(Any, self.endpoint)
        others = sagemaker, endpoint, cast(Any, self.events)
        return replace(
            on_folder.make_context(SETTINGS_OF_FOLDERS, self._bucket.client, self._sqs, *others),
            thumbnail=lambda image: None,  # pictures in a page, and no answers
            active_model=self._model,
            now=self._clock,
            new_nonce=lambda: f"{next(self._nonces):010x}",
            limits=BOUNDS,
        )
