"""The context of a run: clients, settings and limits, passed as one frozen value."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

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
    """The ARN of the KMS key for the job's disks and output; None for AWS's own keys."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits that keep the cost of one step independent of the folder's size.

    A million images are 20 slices, 2,000 pages, and 2,000 LISTs of the two prefixes per attempt. A
    slice takes about 20 MB of memory.
    """

    slice_rows: int = 50_000
    page_rows: int = 500
    large_rows: int = 1_000
    """The most large singles in one job: 100 GB at most."""
    walk_keys: int = 200_000
    walk_seconds: int = 120
    """The longest duration of one walk."""
    planning_seconds: int = 120
    """No further slice is planned after this time in one invocation."""
    planning_patience_seconds: int = 3_600
    """After this age of a run, planning no longer waits for a denied HEAD; the page handles it."""
    report_patience_seconds: int = 86_400
    """After this age of a run, its report no longer waits for denied files and omits them."""
    report_seconds: int = 200
    """The time for closing a run in one invocation; the next scheduled tick continues."""
    part_characters: int = PART_CHARACTERS
    pictures_seconds: int = 60
    """The time for the thumbnails of a page; the page is written without the rest."""
    notice_patience_seconds: int = 900
    """A run ends without its notice if EventBridge has not taken it for this long."""
    oldest_run_days: int = 45
    """A run of this age is ended and begun again: its files expire after 60 days, its claim
    never."""
    attempts: int = 3
    resend_seconds: int = 3600
    report_reads: int = 5_000
    reclassify_rows: int = 10_000
    """The rows of a reclassification's slice: small (a job of minutes), so that folders can run in
    between."""
    heads_at_once: int = 16
    grace_seconds: int = 900
    """A reclassification leaves younger images to their events; a quiet timer takes this long."""
    yield_seconds: int = 3600
    """The longest time that a reclassification yields to folders before its next slice."""
    status_seconds: int = 10
    table_lines: int = 10_000
    """The reclassified results of a folder in one object; about 5 MB are in memory at a time."""
    table_folders: int = 10_000
    """The most folders whose tables are updated after one reclassification; each costs a write and
    a message."""
    table_reclassifications: int = 20
    """The latest reclassifications that a folder's report reads; its table has the earlier ones."""
    reserved_seconds: int = 1_800
    """How long a slot is reserved for a job that does not exist yet: two invocations of
    on_folder."""
    ticket_seconds: int = 1_800
    """A ticket that was not renewed for this long expires: its run is delayed by something else."""
    unpack_seconds: int = 40
    """The time for a step of an archive. Then it is another archive's turn."""
    unpack_entries: int = 64
    unpack_bytes: int = 32_000_000
    """Files of an archive are written together, in parallel, until one of these is reached; with
    the last file, of 100 MB at most, these bytes are in memory."""
    archive_entries: int = 1_000_000
    directory_bytes: int = 500_000_000
    """The largest directory of a zip, which is read as a whole before anything is unpacked."""
    archive_bytes: int = 200_000_000_000
    gzip_bytes: int = 5_000_000_000
    """The most that a .tar.gz may unpack to: each step inflates it again, up to its position."""
    archive_expansion: int = 100
    archive_slack_bytes: int = 256_000_000
    """An archive may unpack to `archive_expansion` times its size plus these bytes: scans in black
    and white compress well, and what compresses better is made to fill disks."""
    tickets: int = 10_000
    """The most tickets that are served in order (ten LISTs); later ones are served by chance."""

    @property
    def most_attempts(self) -> int:
        """Attempts if only a few large images remain, whose first job does not count as
        evidence."""
        return self.attempts + 1


@dataclass(frozen=True, slots=True)
class Context:
    """The clients, settings and limits that every step of a run uses.

    `look_later(scope, confirmed)` queues another look at the scope for when it has been quiet;
    `unpack_later(key)` queues an archive. `notify(detail_type, detail)` sends the event that a run
    or a training has ended; it raises if EventBridge does not take it. `thumbnail(key)`: a small
    JPEG of an inbox image, or None. `jobs_at_once`: the maximum number of concurrent transform jobs
    of the stage; `reclassify_jobs`: how many of them a reclassification may use. `confirm_above`: a
    reclassification of more images waits for a person's confirmation. `review_below`: answers with
    a lower score are listed for review. `keeps_answers`: images expire, and their answers stay, so
    that an answer without an image is no trace of a lost event.
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
    unpack_later: Callable[[str], None]
    notify: Callable[[str, dict[str, Any]], None]
    thumbnail: Callable[[str], bytes | None]
    jobs_at_once: int
    reclassify_jobs: int
    confirm_above: int
    review_below: float
    keeps_answers: bool = False
    limits: Limits = Limits()

    def is_overdue(self, started_at: str, patience_seconds: int) -> bool:
        """Whether a run that started at this timestamp is older than `patience_seconds`."""
        age = self.now() - timestamps.parse(started_at)
        return age > timedelta(seconds=patience_seconds)

    def pictures(self) -> Callable[[str], bytes | None]:
        """`thumbnail`, which returns None once `pictures_seconds` have passed."""
        until = self.now() + timedelta(seconds=self.limits.pictures_seconds)
        return lambda image: self.thumbnail(image) if self.now() < until else None
