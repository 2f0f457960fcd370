"""Every key in the bucket and every job name, each with its inverse.

One bucket, five prefixes: `inbox/` is what people drop, `outbox/` what they read, `models/` the
archives and the pointer to the active one, `training/` what models are made from, `work/` ours.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from domain.model import ModelId
from domain.scope import Scope

INBOX = "inbox/"
OUTBOX = "outbox/"
MODELS = "models/"
WORK = "work/"
TRAINING = "training/"
ACTIVE_MODEL = f"{MODELS}active.json"
CLAIMS = f"{WORK}claims/"
RUNS = f"{WORK}runs/"
LEASES = f"{WORK}leases/"
BEATS = f"{WORK}beats/"
RECLASSIFIED = f"{WORK}renewed/"
LARGE_MARKERS = f"{WORK}large/"
SINGLES = f"{OUTBOX}_singles/"
SLOTS = f"{WORK}slots/"
TICKETS = f"{WORK}tickets/"
TICK = f"{WORK}tick.txt"
"""The last claim that the clock has come to; it goes on after it."""

TIMEOUTS = f"{WORK}timeouts/"
LONG = f"{OUTBOX}_long/"
SWEEPS = f"{OUTBOX}_reclassify/"

KEY_BYTES = 1024
"""S3's limit for a key, in bytes of UTF-8."""

MANIFEST_KEY_BYTES = 800
"""The longest key that is put into a transform manifest, in bytes of UTF-8."""

RESULT_SUFFIX = ".json"

TICKET_TIME = "%Y%m%dT%H%M%S.%f"


def archive_key(model: ModelId) -> str:
    """Where a model's archive is; by content, so that the same model is stored once."""
    return f"{MODELS}{model.name}/{model.digest.removeprefix('sha256:')}/model.tar.gz"


def dataset_prefix(fingerprint: str) -> str:
    """Images to learn from; by content, so that the same data are uploaded once."""
    return f"{TRAINING}data/{fingerprint.removeprefix('sha256:')}/"


def weights_key(digest: str, name: str) -> str:
    """Weights that a training starts from."""
    return f"{TRAINING}weights/{digest}/{name}"


def own_prefix(digest: str) -> str:
    """A copy of what somebody has in S3 where training jobs may not read it; by content."""
    return f"{TRAINING}own/{digest}/"


def checkpoints_prefix(run: str) -> str:
    """Where a training that was interrupted goes on from."""
    return f"{TRAINING}checkpoints/{run}"


def evaluation_key(model: ModelId) -> str:
    """How the model was judged before it was promoted."""
    return archive_key(model).replace("model.tar.gz", "evaluation.json")


TRAINING_JOBS = f"{TRAINING}jobs"
"""SageMaker adds the job's name, and what the job left: model.tar.gz, output.tar.gz."""


def result_key(image_key: str) -> str:
    """Where the answer for an inbox image is: `inbox/X` -> `outbox/X.json`.

    The result's key is six bytes longer than the image's; where that exceeds S3's limit, the
    answer is under a hash of the image's key and records the key inside.
    """
    key = f"{OUTBOX}{image_key.removeprefix(INBOX)}{RESULT_SUFFIX}"
    return key if len(key.encode()) <= KEY_BYTES else _long(image_key, RESULT_SUFFIX)


def image_key(key: str) -> str | None:
    """The inverse of `result_key`; None where only the result itself can tell (`outbox/_long/`)."""
    if key.startswith(LONG) or not key.startswith(OUTBOX) or not key.endswith(RESULT_SUFFIX):
        return None
    return INBOX + key.removeprefix(OUTBOX).removesuffix(RESULT_SUFFIX)


def folder_file(scope: Scope, name: str) -> str:
    """A file about the folder as a whole (`_status.json`, `predictions.csv` …)."""
    if scope.is_large_singles:
        return SINGLES + name
    key = f"{OUTBOX}{scope.path}{name}"
    return key if len(key.encode()) <= KEY_BYTES else _long(INBOX + scope.path, f"/{name}")


def timeouts_key(image_key: str) -> str:
    """When the endpoint took too long over an image; a hash, so that no key is too long."""
    return f"{TIMEOUTS}{hashlib.sha256(image_key.encode()).hexdigest()}.json"


def reclassified_prefix(folder: Scope) -> str:
    """What sweeps answered in a folder, until the folder's table has it."""
    return f"{RECLASSIFIED}{folder.token}/"


def reclassified_key(folder: Scope, sweep: str, part: int) -> str:
    return f"{reclassified_prefix(folder)}{sweep}-{part:06}.jsonl"


def reclassification_of(key: str) -> str:
    """The sweep's nonce."""
    return key.rpartition("/")[2].partition("-")[0]


def reclassification_file(started_at: str, nonce: str, name: str) -> str:
    """A file about one sweep. `started_at` is ISO 8601, so that the sweeps sort by their start."""
    return f"{SWEEPS}{re.sub('[^0-9]', '', started_at)[:14]}-{nonce}/{name}"


def _long(inbox_key: str, suffix: str) -> str:
    return f"{LONG}{hashlib.sha256(inbox_key.encode()).hexdigest()}{suffix}"


def fits_manifest(key: str) -> bool:
    """Whether Batch Transform can be trusted with this key: short, nothing it might rewrite."""
    return (
        len(key.encode()) <= MANIFEST_KEY_BYTES
        and "//" not in key
        and not any(segment.strip(".") == "" for segment in key.split("/"))
        and key.isprintable()
    )


def claim_key(token: str) -> str:
    """The claim of the one live run of a scope."""
    return f"{CLAIMS}{token}.json"


def claimed_token(key: str) -> str:
    return key.removeprefix(CLAIMS).removesuffix(".json")


def lease_key(token: str) -> str:
    """Who is at work on the scope's run just now."""
    return f"{LEASES}{token}.json"


def debounce_key(token: str) -> str:
    """The last sign of life of a folder that is still being filled."""
    return f"{BEATS}{token}.json"


def waiting_key(token: str) -> str:
    """Since when the folder has had an image that no run has begun after: the object's own date."""
    return f"{BEATS}{token}.waiting"


def large_key(image_key: str) -> str:
    """The marker of a single that waits for the run of large ones; its key fits a manifest."""
    return LARGE_MARKERS + image_key.removeprefix(INBOX)


def large_image(key: str) -> str:
    """The inverse of `large_key`."""
    return INBOX + key.removeprefix(LARGE_MARKERS)


def slot_key(number: int) -> str:
    """One of the stage's slots for a transform job."""
    return f"{SLOTS}{number:03}.json"


def ticket_key(since: datetime, token: str) -> str:
    """The place in line of a run that waits for a slot: tickets sort by their time."""
    return f"{TICKETS}{since.astimezone(UTC):{TICKET_TIME}}-{token}.json"


def ticket_token(key: str) -> str:
    """The token of the scope whose run waits."""
    return key.removeprefix(TICKETS).removesuffix(".json").partition("-")[2]


def ticket_since(key: str) -> datetime:
    """When the run began to wait, in UTC."""
    text = key.removeprefix(TICKETS).partition("-")[0]
    return datetime.strptime(text, TICKET_TIME).replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class RunKeys:
    """The keys of one run, all below one prefix that carries its nonce."""

    token: str
    nonce: str

    @property
    def prefix(self) -> str:
        return f"{RUNS}{self.token}/{self.nonce}/"

    def slice(self, attempt: int, index: int) -> str:
        return f"{self.slices(attempt)}{index:06}.json"

    def slices(self, attempt: int) -> str:
        return f"{self.prefix}slices/{attempt}/"

    def plan(self, attempt: int, index: int, planner: str) -> str:
        """A prefix of its own for each planner: two may plan the same slice, and one loses."""
        return f"{self.prefix}plans/{attempt}-{index:06}-{planner}/"

    def progress(self, attempt: int, index: int) -> str:
        """What has become of a slice: one small object for each page sent or done, to be listed."""
        return f"{self.prefix}progress/{attempt}-{index:06}/"

    @property
    def companion(self) -> str:
        """The picture that is beside images of which a job may answer none."""
        return f"{self.prefix}companion.png"

    @property
    def closing(self) -> str:
        """How far the end of the run has come: its left-overs counted, its report written."""
        return f"{self.prefix}closing.json"

    def part(self, name: str) -> str:
        """The beginning of the names of a report's parts, while it is written."""
        return f"{self.prefix}report/{name}"

    @property
    def outputs(self) -> str:
        """Of all its jobs."""
        return f"{self.prefix}output/"

    def output(self, job: "JobName") -> str:
        return f"{self.outputs}{job.attempt}-{job.index:06}-{job.part}/"


def run_of(key: str) -> RunKeys | None:
    """The run that a key or an S3 URI below `work/runs/` belongs to; None for any other."""
    match = re.search(rf"(?:^|^s3://[^/]+/){RUNS}([^/]+)/([^/]+)/", key)
    return RunKeys(match[1], match[2]) if match else None


@dataclass(frozen=True, slots=True)
class JobName:
    """A transform job's name says whose it is: it lives for ever in an account, 63 characters."""

    stage: str
    slug: str
    nonce: str
    attempt: int
    index: int
    part: int

    def __str__(self) -> str:
        return (
            f"sortbox-{self.stage}-{self.slug}-{self.nonce}-{self.attempt}-{self.index}-{self.part}"
        )

    @classmethod
    def parse(cls, name: str) -> "JobName":
        """Raises ValueError for a name that is not one of ours."""
        match = re.fullmatch(
            r"sortbox-([a-z0-9]{1,8})-([a-z0-9-]{1,20})-([0-9a-f]{10})"
            r"-([0-9])-(0|[1-9][0-9]{0,5})-([0-9])",
            name,
        )
        if match is None:
            raise ValueError(f"not a Sortbox job name: {name!r}")
        stage, slug, nonce, attempt, index, part = match.groups()
        return cls(stage, slug, nonce, int(attempt), int(index), int(part))
