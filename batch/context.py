"""The context of a run: clients, settings and limits, passed as one frozen value."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from aws.bucket import Bucket
from batch.planning.slice import PageRef
from batch.reports.multipart import PART_CHARACTERS
from domain import timestamps
from domain.model import ActiveModel
from domain.scope import Scope

if TYPE_CHECKING:
    from types_boto3_sagemaker.client import SageMakerClient
    from types_boto3_sagemaker.literals import TransformInstanceTypeType


@dataclass(frozen=True, slots=True)
class TransformResources:
    """The instances of a transform job."""

    type: "TransformInstanceTypeType"
    count: int
    kms_key: str | None = None
    """The ARN of the customer's own key, for its disks and its output."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one step, whatever the size of the folder.

    A million images are 20 slices, 2,000 pages and, attempt by attempt, 2,000 LISTs of the two
    prefixes; a slice in memory is some 20 MB.
    """

    slice_rows: int = 50_000
    page_rows: int = 500
    large_rows: int = 1_000
    """Of singles that are too large for the endpoint, in one job: a hundred gigabytes at most."""
    walk_keys: int = 200_000
    walk_seconds: int = 120
    """Of one walk, whatever S3's pace."""
    planning_seconds: int = 120
    """So long slices are planned in one invocation; the last may take a walk's time more."""
    planning_patience_seconds: int = 3_600
    """In so old a run a denied HEAD is left to its page, though no other object could be read."""
    report_patience_seconds: int = 86_400
    """The report of so old a run goes without files that are denied, whoever else can be read."""
    report_seconds: int = 200
    """So long the end of a run is worked on in one invocation; the clock has it gone on with."""
    part_characters: int = PART_CHARACTERS
    pictures_seconds: int = 60
    """For the thumbnails of a page, which is written without those that take longer."""
    oldest_run_days: int = 45
    """Then a run is given up, and begun again: its files expire after 60 days, its claim never."""
    attempts: int = 3
    resend_seconds: int = 3600
    report_reads: int = 5_000
    reclassify_rows: int = 10_000
    """Slices of a reclassification are small (a job of minutes): new folders go in between."""
    heads_at_once: int = 16
    grace_seconds: int = 900
    """A younger image without an answer is left to its event; a folder's timer may run so long."""
    yield_seconds: int = 3600
    """So long a sweep holds back for folders; then a slice goes in between."""
    status_seconds: int = 10
    table_lines: int = 10_000
    """Of a sweep's answers for a folder's table in one object: some 5 MB are held at a time."""
    table_folders: int = 10_000
    """Whose tables follow one sweep, by a write and a message each."""
    table_reclassifications: int = 20
    """The latest that a report reads; what earlier ones did, the table has had time to take in."""
    reserved_seconds: int = 1_800
    """So long a slot is kept for a job that does not exist yet: two invocations of on_folder."""
    ticket_seconds: int = 1_800
    """A run that has not come for so long has lost its place in line: it is held up elsewhere."""
    tickets: int = 10_000
    """Of the runs that wait for a slot, in their order: ten LISTs; later ones come by chance."""

    @property
    def most_attempts(self) -> int:
        """Where all that is left is a few large images, whose first job proves nothing."""
        return self.attempts + 1


@dataclass(frozen=True, slots=True)
class Context:
    """The clients, settings and limits that every step of a run uses.

    `look_later(scope, confirmed)` queues another look at the scope for when it has been quiet.
    `thumbnail(key)`: a small JPEG of an inbox image, or None. `jobs_at_once`: the maximum number of
    concurrent transform jobs of the stage; `reclassify_jobs`: how many of them a reclassification
    may use. `confirm_above`: a reclassification of more images waits for a person's confirmation.
    `review_below`: answers with a lower score are listed for review.
    """

    bucket: Bucket
    sagemaker: "SageMakerClient"
    stage: str
    resources: TransformResources
    folder_depth: int
    endpoint_max_late: int
    endpoint_max_first: int
    active_model: Callable[[], ActiveModel]
    send_page: Callable[[PageRef], None]
    look_later: Callable[[Scope, bool], None]
    now: Callable[[], datetime]
    new_nonce: Callable[[], str]
    advance_later: Callable[[str], None]
    thumbnail: Callable[[str], bytes | None]
    jobs_at_once: int
    reclassify_jobs: int
    confirm_above: int
    review_below: float
    limits: Limits = Limits()

    def is_overdue(self, started_at: str, patience_seconds: int) -> bool:
        age = self.now() - timestamps.parse(started_at)
        return age > timedelta(seconds=patience_seconds)

    def pictures(self) -> Callable[[str], bytes | None]:
        """`thumbnail`, until its time is up."""
        until = self.now() + timedelta(seconds=self.limits.pictures_seconds)
        return lambda image: self.thumbnail(image) if self.now() < until else None
