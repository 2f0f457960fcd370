"""Slices: key ranges of a run's listing, each planned once, with their parts, pages and rows."""

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
"""Decimal, so that a limit of ours is below SageMaker's whichever megabyte it means."""


@dataclass(frozen=True, slots=True)
class Row:
    """One image as it was listed when the run was planned; an answer counts only for this one.

    `version` is its version id where the time would not tell a later object from it; else None.
    `archived`: by its storage class it may have to be restored. `denied`: it could not be read.
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
        """For a result whose image is gone: what its page finds under the key is all it goes by."""
        return cls(key, "", 0, "")

    def is_still(self, version: Version, last_modified: datetime) -> bool:
        """The same bytes written again are not the same object: the job may have read either."""
        is_same = Version(self.etag, self.version).is_same(version)
        return is_same and self.last_modified == _instant(last_modified)


def _instant(moment: datetime) -> str:
    """In UTC: two processes may tell the same time in their own zones."""
    return moment.astimezone(UTC).isoformat()


@dataclass(frozen=True, slots=True)
class PageRef:
    """Names one page of one run; small enough to travel in a message."""

    token: str
    nonce: str
    attempt: int
    index: int
    part: int
    page: int


def rows_to_text(rows: Iterable[Row]) -> str:
    return "".join(json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in rows)


def rows_from_text(text: bytes) -> tuple[Row, ...]:
    """The inverse of `rows_to_text`; split at line feeds only: keys may hold other breaks."""
    return tuple(Row(**json.loads(line)) for line in text.decode().split("\n") if line)


@dataclass(frozen=True, slots=True)
class ViaTransform:
    """A transform job. One size class a job, because payload times concurrency is at most 100 MB.

    `concurrency` None leaves it to the container's `/execution-parameters`.
    """

    payload_mb: int
    concurrency: int | None


@dataclass(frozen=True, slots=True)
class ViaEndpoint:
    """Pages that go to the endpoint image by image."""


PartRoute = ViaTransform | ViaEndpoint
SMALL_IMAGES = ViaTransform(payload_mb=6, concurrency=None)
LARGE_IMAGES = ViaTransform(payload_mb=LARGEST_BYTES // MB, concurrency=1)


FEW_LARGE = 20
"""Of so few large images a job may answer none, and be no trouble; of more it is the trouble."""


@dataclass(frozen=True, slots=True)
class Part:
    route: PartRoute
    rows: int
    pages: int

    @property
    def is_few_large(self) -> bool:
        return self.route == LARGE_IMAGES and self.rows <= FEW_LARGE


@dataclass(frozen=True, slots=True)
class Slice:
    """The inbox keys after `after` up to `cursor`; `last` where the listing ended within it.

    `rows` counts what the attempt has planned so far, this slice included. `model`: the active one
    as a renewal was planned, which took other models' answers for none.
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
        """Where the jobs of the other parts write."""
        return tuple(
            run.output(self.job(run, stage, other))
            for other, about in enumerate(self.parts)
            if other != part and isinstance(about.route, ViaTransform)
        )

    def is_alone(self, part: int) -> bool:
        """Whether the part is a few large images, and the slice has no other job."""
        others = (about.route for other, about in enumerate(self.parts) if other != part)
        is_only_job = not any(isinstance(route, ViaTransform) for route in others)
        return self.parts[part].is_few_large and is_only_job

    def has_companion(self, part: int) -> bool:
        """Whether the part's job is given a picture of ours, and is healthy if it answers that.

        A few large images alone may be such that nothing can be answered. Their first job does
        without, so that ordinary images are named relative to their folder.
        """
        return self.attempt > 1 and self.is_alone(part)

    def inputs(self, part: int) -> str:
        """The manifest's prefix; an image and a run's files have only the bucket in common.

        SageMaker's reference, of a manifest: "the prefix must be a valid non-empty S3Uri", and its
        suffixes are appended to it. Its pattern for an S3Uri, (https|s3)://([^/]+)/?(.*), takes a
        bucket without a key.
        """
        return "" if self.has_companion(part) else inputs_of(self.scope)

    def page(self, run: RunKeys, part: int, page: int) -> PageRef:
        return PageRef(run.token, run.nonce, self.attempt, self.index, part, page)

    def to_json(self) -> str:
        fields = asdict(self)
        fields["parts"] = [{"road": part.pop("route"), **part} for part in fields["parts"]]
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
    """The few slices that may still be open, oldest first: those before them are done.

    One LIST for a thousand slices, which are fifty million images.
    """
    newest = deque(bucket.walk(f"{run.prefix}slices/"), maxlen=most)
    objects = [bucket.read(listed.key) for listed in newest]
    slices = [Slice.from_json(stored.body) for stored in objects if stored]
    return tuple(planned for planned in slices if planned.attempt == slices[-1].attempt)


@dataclass(frozen=True, slots=True)
class Page:
    """A page with what is needed to answer it. `inputs` and `output` are its job's key prefixes,
    `manifest` the key of its manifest.

    `healthy`: any output below one of these prefixes tells that such a job answers images: its own,
    or that of the slice's other jobs, which do the same to images of another size. A later attempt
    without a companion may have nothing but what cannot be answered: any job of the run, then.
    """

    ref: PageRef
    route: PartRoute
    rows: tuple[Row, ...]
    job: JobName
    inputs: str
    output: str
    manifest: str
    healthy: tuple[str, ...]


def open_page(bucket: Bucket, stage: str, ref: PageRef) -> Page | None:
    """None where the run's files have expired: it ended, or was given up, long ago."""
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
    )


def inputs_of(scope: Scope) -> str:
    """A manifest's prefix: a folder's keys are relative to the folder, all others to inbox/."""
    return INBOX + scope.path if scope.is_folder else INBOX
