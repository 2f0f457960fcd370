"""Slices: key ranges of a run's listing. A slice has parts (jobs), a part pages, a page rows."""

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from aws.bucket import ARCHIVES, Bucket, Listed
from domain.keys import INBOX, JobName, RunKeys
from domain.result import Version
from domain.route import LARGEST_BYTES
from domain.scope import Kind, Scope

MB = 1_000_000
"""Decimal, so that our limits are below SageMaker's for either meaning of a megabyte."""


@dataclass(frozen=True, slots=True)
class Row:
    """An image as it was listed during planning; an answer counts only for this version.

    `version` is the version id if ETag and time are not sufficient to recognise the version.
    `archived`: its storage class may require a restore. `denied`: S3 denies reading it.
    """

    key: str
    etag: str
    size: int
    last_modified: str
    version: str | None = None
    archived: bool = False
    denied: bool = False

    @classmethod
    def of(cls, listed: Listed) -> "Row":
        at = _instant(listed.last_modified)
        archived = listed.storage_class in ARCHIVES
        return cls(listed.key, listed.etag, listed.size, at, archived=archived)

    @classmethod
    def of_nothing(cls, key: str) -> "Row":
        """The row of a result whose image is deleted; its page deletes the result."""
        return cls(key, "", 0, "")

    def is_still(self, version: Version, last_modified: datetime) -> bool:
        """Whether the image is still the planned one. Compares the time too: if the same bytes were
        written again, the job may have read either object."""
        is_same = Version(self.etag, self.version).is_same(version)
        return is_same and self.last_modified == _instant(last_modified)


def _instant(moment: datetime) -> str:
    """In UTC, so that equal times have equal texts."""
    return moment.astimezone(UTC).isoformat()


@dataclass(frozen=True, slots=True)
class PageRef:
    """Identifies one page of one run; part of messages."""

    token: str
    nonce: str
    attempt: int
    index: int
    part: int
    page: int


def rows_to_text(rows: Iterable[Row]) -> str:
    return "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)


def rows_from_text(text: bytes) -> tuple[Row, ...]:
    """The inverse of `rows_to_text`. Splits at line feeds only: keys may contain other breaks."""
    return tuple(Row(**json.loads(line)) for line in text.decode().split("\n") if line)


@dataclass(frozen=True, slots=True)
class ViaTransform:
    """A part that a transform job classifies.

    A job has images of one size class, because SageMaker limits payload x concurrency to 100 MB. If
    `concurrency` is None, SageMaker asks the container's `/execution-parameters`.
    """

    payload_mb: int
    concurrency: int | None


@dataclass(frozen=True, slots=True)
class ViaEndpoint:
    """A part whose images are sent to the endpoint one by one."""


PartRoute = ViaTransform | ViaEndpoint
SMALL_IMAGES = ViaTransform(payload_mb=6, concurrency=None)
LARGE_IMAGES = ViaTransform(payload_mb=LARGEST_BYTES // MB, concurrency=1)


FEW_LARGE = 20
"""If a job has more large images than this and answers none, the job itself has failed."""


@dataclass(frozen=True, slots=True)
class Part:
    route: PartRoute
    rows: int
    pages: int


@dataclass(frozen=True, slots=True)
class Slice:
    """The inbox keys after `after` up to `cursor`; `last` if the listing ended within it.

    `rows` counts the rows of the attempt so far, including this slice. `model`: for a `renewal`,
    the active model during planning; results by other models count as missing. `jobs_only`: no
    endpoint answers what jobs leave over, as the stage has none, or one that is not made for many.
    """

    path: str
    attempt: int
    index: int
    planner: str
    after: str
    cursor: str
    last: bool
    ignored: int
    rows: int
    parts: tuple[Part, ...]
    kind: Kind = "uploads"
    model: str | None = None
    jobs_only: bool = False

    @property
    def scope(self) -> Scope:
        return Scope(self.path, self.kind)

    def plans(self, run: RunKeys) -> str:
        return run.plan(self.attempt, self.index, self.planner)

    def page_key(self, run: RunKeys, part: int, page: int) -> str:
        return f"{self.plans(run)}{part}-{page:04}.jsonl"

    def manifest_key(self, run: RunKeys, part: int) -> str:
        return f"{self.plans(run)}{part}.manifest"

    def job(self, run: RunKeys, stage: str, part: int) -> JobName:
        return JobName(stage, self.scope.slug, run.nonce, self.attempt, self.index, part)

    def outputs_beside(self, run: RunKeys, stage: str, part: int) -> tuple[str, ...]:
        """The output prefixes of the jobs of the other parts."""
        return tuple(
            run.output(self.job(run, stage, other))
            for other, about in enumerate(self.parts)
            if other != part and isinstance(about.route, ViaTransform)
        )

    def is_alone(self, part: int) -> bool:
        """Whether the part is a few large images, and the slice has no other job; a few images of
        any size where no endpoint answers small ones.
        """
        about = self.parts[part]
        is_few = about.rows <= FEW_LARGE and (
            about.route == LARGE_IMAGES or (self.jobs_only and about.route == SMALL_IMAGES)
        )
        others = (about.route for other, about in enumerate(self.parts) if other != part)
        is_only_job = not any(isinstance(route, ViaTransform) for route in others)
        return is_few and is_only_job

    def has_companion(self, part: int) -> bool:
        """Whether the part's job gets a companion image, whose answer shows that the job works.

        It is needed for a few images alone (`is_alone`), all of which may be impossible to
        classify. The first attempt has none, so that usual images are named relative to their
        folder.
        """
        return self.attempt > 1 and self.is_alone(part)

    def inputs(self, part: int) -> str:
        """The key prefix of the manifest; empty if it has both images and a file of the run.

        SageMaker's reference says of a manifest: "the prefix must be a valid non-empty S3Uri", to
        which the suffixes are appended. Its pattern, (https|s3)://([^/]+)/?(.*), allows a bucket
        without a key.
        """
        return "" if self.has_companion(part) else inputs_of(self.scope)

    def page(self, run: RunKeys, part: int, page: int) -> PageRef:
        return PageRef(run.token, run.nonce, self.attempt, self.index, part, page)

    def to_json(self) -> str:
        fields = asdict(self)
        fields["parts"] = [{"road": part.pop("route"), **part} for part in fields["parts"]]
        if not self.jobs_only:  # a release that does not know it can still read the slice
            del fields["jobs_only"]
        return json.dumps(fields, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: bytes) -> "Slice":
        fields = json.loads(text)
        parts = tuple(
            Part(
                ViaTransform(**part["road"]) if part["road"] else ViaEndpoint(),
                part["rows"],
                part["pages"],
            )
            for part in fields.pop("parts")
        )
        return cls(parts=parts, **fields)


def read(bucket: Bucket, run: RunKeys, attempt: int, index: int) -> Slice | None:
    stored = bucket.read(run.slice(attempt, index))
    return Slice.from_json(stored.body) if stored else None


def latest(bucket: Bucket, run: RunKeys, most: int = 2) -> tuple[Slice, ...]:
    """The last `most` slices of the latest attempt, oldest first; only they can be open.

    Costs one LIST for each thousand slices (fifty million images).
    """
    newest = deque(bucket.walk(f"{run.prefix}slices/"), maxlen=most)
    objects = [bucket.read(listed.key) for listed in newest]
    slices = [Slice.from_json(stored.body) for stored in objects if stored]
    return tuple(planned for planned in slices if planned.attempt == slices[-1].attempt)


@dataclass(frozen=True, slots=True)
class Page:
    """A page with everything needed to answer it. `inputs` and `output` are its job's key prefixes,
    `manifest` the key of its manifest.

    `healthy`: an output below any of these prefixes shows that jobs of this run work. They are the
    prefixes of the slice's jobs. In a later attempt without a companion, in which possibly no image
    can be classified, it is the prefix of all jobs of the run.
    """

    ref: PageRef
    route: PartRoute
    rows: tuple[Row, ...]
    job: JobName
    inputs: str
    output: str
    manifest: str
    healthy: tuple[str, ...]
    jobs_only: bool = False


def open_page(bucket: Bucket, stage: str, ref: PageRef) -> Page | None:
    """Read a page; None if the run's files have expired, long after its end."""
    run = RunKeys(ref.token, ref.nonce)
    planned = read(bucket, run, ref.attempt, ref.index)
    stored = planned and bucket.read(planned.page_key(run, ref.part, ref.page))
    if not planned or not stored:
        return None
    job = planned.job(run, stage, ref.part)
    healthy = (run.output(job), *planned.outputs_beside(run, stage, ref.part))
    if ref.attempt > 1 and not planned.has_companion(ref.part):
        healthy = (run.outputs,)
    return Page(
        ref=ref,
        route=planned.parts[ref.part].route,
        rows=rows_from_text(stored.body),
        job=job,
        inputs=planned.inputs(ref.part),
        output=run.output(job),
        manifest=planned.manifest_key(run, ref.part),
        healthy=healthy,
        jobs_only=planned.jobs_only,
    )


def inputs_of(scope: Scope) -> str:
    """The prefix of a manifest's keys: the folder, or `inbox/` for other scopes."""
    return INBOX + scope.path if scope.is_folder else INBOX
