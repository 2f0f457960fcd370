"""Every S3 key of the bucket and every job name, with their inverses.

The bucket has five prefixes: `inbox/` (uploads of users), `outbox/` (results for users), `models/`
(archives, and the pointer to the active model), `training/` (training data and jobs) and `work/`
(internal state).
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath

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
NOTICES = f"{WORK}notices/"
TICK = f"{WORK}tick.txt"
"""Holds the key of the last claim that the schedule has processed; the next run continues there."""

ARCHIVES = f"{WORK}archives/"
"""The archives of the inbox that are being unpacked, one object each."""

TIMEOUTS = f"{WORK}timeouts/"
LONG = f"{OUTBOX}_long/"
SWEEPS = f"{OUTBOX}_reclassify/"
REVIEWS = f"{OUTBOX}_review/"
UNPACKED = f"{OUTBOX}_archives/"
"""The reports of archives that were unpacked."""

OWN_FOLDERS = frozenset(
    prefix.removeprefix(OUTBOX).rstrip("/") for prefix in (LONG, SINGLES, SWEEPS, REVIEWS, UNPACKED)
)
"""No folder of the inbox has such a name: its results would lie among files about folders."""

KEY_BYTES = 1024
"""S3's limit for the length of a key, in bytes of UTF-8."""

MANIFEST_KEY_BYTES = 800
"""The longest key that is listed in a transform manifest, in bytes of UTF-8."""

SAME_NAMES = 20
"""The most images of one name that are all kept, each under a name of its own."""

RESULT_SUFFIX = ".json"

TICKET_TIME = "%Y%m%dT%H%M%S.%f"


def archive_key(model: ModelId) -> str:
    """The archive of a model. Addressed by content, so that the same model is stored once."""
    return f"{MODELS}{model.name}/{model.digest.removeprefix('sha256:')}/model.tar.gz"


def dataset_prefix(fingerprint: str) -> str:
    """The images of a training data set. Addressed by content, so that they are uploaded once."""
    return f"{TRAINING}data/{fingerprint.removeprefix('sha256:')}/"


def weights_key(digest: str, name: str) -> str:
    """Pretrained weights that a training job starts from."""
    return f"{TRAINING}weights/{digest}/{name}"


def own_prefix(digest: str) -> str:
    """The copy of a user's data set in S3 that the training role may not read; by content."""
    return f"{TRAINING}own/{digest}/"


def checkpoints_prefix(run: str) -> str:
    """The checkpoints of a training run, from which an interrupted job resumes."""
    return f"{TRAINING}checkpoints/{run}"


def evaluation_key(model: ModelId) -> str:
    """The evaluation that preceded a model's promotion."""
    return archive_key(model).replace("model.tar.gz", "evaluation.json")


CORRECTIONS = f"{TRAINING}corrections/"
"""What people say that images show (`domain.corrections`), one object each, in order of time."""

TRAINING_JOBS = f"{TRAINING}jobs"
"""The output path of training jobs. SageMaker appends the job's name and the artifacts,
`model.tar.gz` and `output.tar.gz`."""


def folder_prefix(folder: str) -> str:
    """The prefix of the keys in a folder that a person names: `trip`, `trip/` or `inbox/trip/`; of
    the whole inbox for none."""
    path = folder.removeprefix(INBOX).strip("/")
    return f"{INBOX}{path}/" if path else INBOX


def numbered(key: str) -> list[str]:
    """The key, and the same with ` (2)` and so on before its suffix, without those too long."""
    path = PurePosixPath(key)
    folder = key[: len(key) - len(path.name)]
    more = [f"{folder}{path.stem} ({n}){path.suffix}" for n in range(2, SAME_NAMES + 1)]
    return [key, *(name for name in more if len(name.encode()) <= KEY_BYTES)]


def result_key(image_key: str) -> str:
    """The key of an image's result: `inbox/X` -> `outbox/X.json`.

    It is six bytes longer than the image's key. If that exceeds S3's limit, the key is a hash of
    the image's key, which the result itself records.
    """
    key = f"{OUTBOX}{image_key.removeprefix(INBOX)}{RESULT_SUFFIX}"
    return key if len(key.encode()) <= KEY_BYTES else _long(image_key, RESULT_SUFFIX)


def image_key(key: str) -> str | None:
    """The inverse of `result_key`; None for other keys, and for hashed keys (`outbox/_long/`)."""
    if key.startswith(LONG) or not key.startswith(OUTBOX) or not key.endswith(RESULT_SUFFIX):
        return None
    return INBOX + key.removeprefix(OUTBOX).removesuffix(RESULT_SUFFIX)


def folder_file(scope: Scope, name: str) -> str:
    """The key of a file about the folder as a whole (`_status.json`, `predictions.csv` …)."""
    if scope.is_large_singles:
        return SINGLES + name
    key = f"{OUTBOX}{scope.path}{name}"
    return key if len(key.encode()) <= KEY_BYTES else _long(INBOX + scope.path, f"/{name}")


def timeouts_key(image_key: str) -> str:
    """The record of an image's time-outs at the endpoint. Hashed, so that no key is too long."""
    return f"{TIMEOUTS}{hashlib.sha256(image_key.encode()).hexdigest()}.json"


def reclassified_prefix(folder: Scope) -> str:
    """Results of reclassifications in a folder that its table does not contain yet."""
    return f"{RECLASSIFIED}{folder.token}/"


def reclassified_key(folder: Scope, sweep: str, part: int) -> str:
    """`sweep` is the reclassification's nonce, `part` counts its files for the folder."""
    return f"{reclassified_prefix(folder)}{sweep}-{part:06}.jsonl"


def reclassification_of(key: str) -> str:
    """The nonce of the reclassification that wrote a `reclassified_key`."""
    return key.rpartition("/")[2].partition("-")[0]


def reclassification_file(started_at: str, nonce: str, name: str) -> str:
    """A file about one reclassification. `started_at` is ISO 8601; the keys sort by it."""
    return f"{SWEEPS}{re.sub('[^0-9]', '', started_at)[:14]}-{nonce}/{name}"


def _long(inbox_key: str, suffix: str) -> str:
    return f"{LONG}{hashlib.sha256(inbox_key.encode()).hexdigest()}{suffix}"


def fits_manifest(key: str) -> bool:
    """Whether a transform manifest can list this key: it is short, and nothing normalises it."""
    return (
        len(key.encode()) <= MANIFEST_KEY_BYTES
        and not any(segment.strip(".") == "" for segment in key.split("/"))
        and key.isprintable()
    )


def claim_key(token: str) -> str:
    """The claim of a scope: it records the scope's only live run."""
    return f"{CLAIMS}{token}.json"


def claimed_token(key: str) -> str:
    """The inverse of `claim_key`."""
    return key.removeprefix(CLAIMS).removesuffix(".json")


def lease_key(token: str) -> str:
    """The lease on a scope's run: its holder is the only one to work on it."""
    return f"{LEASES}{token}.json"


def unpacking_key(archive: str) -> str:
    """The state of an archive that is being unpacked. Hashed, so that no key is too long."""
    return f"{ARCHIVES}{hashlib.sha256(archive.encode()).hexdigest()}.json"


def unpacked_key(archive: str) -> str:
    """The report of an archive: `inbox/trip.zip` -> `outbox/_archives/trip.zip.json`."""
    key = f"{UNPACKED}{archive.removeprefix(INBOX)}{RESULT_SUFFIX}"
    return key if len(key.encode()) <= KEY_BYTES else _long(archive, f"/archive{RESULT_SUFFIX}")


def training_notice_key(job: str) -> str:
    """The notice that a training job has ended, and whether it was sent."""
    return f"{NOTICES}{job}.json"


def debounce_key(token: str) -> str:
    """The last debounce record of a folder that is still being filled."""
    return f"{BEATS}{token}.json"


def waiting_key(token: str) -> str:
    """Marks a folder with images that no run has listed yet; LastModified says since when."""
    return f"{BEATS}{token}.waiting"


def large_key(image_key: str) -> str:
    """The marker of a single that waits for the run of those that the endpoint does not take."""
    return LARGE_MARKERS + image_key.removeprefix(INBOX)


def large_image(key: str) -> str:
    """The inverse of `large_key`."""
    return INBOX + key.removeprefix(LARGE_MARKERS)


def slot_key(number: int) -> str:
    """One of the slots that limit how many transform jobs a stage runs at once."""
    return f"{SLOTS}{number:03}.json"


def ticket_key(since: datetime, token: str) -> str:
    """The queue ticket of a run that waits for a slot; keys sort by `since` (aware)."""
    return f"{TICKETS}{since.astimezone(UTC):{TICKET_TIME}}-{token}.json"


def ticket_token(key: str) -> str:
    """The scope token of the run that holds this ticket."""
    return key.removeprefix(TICKETS).removesuffix(".json").partition("-")[2]


def ticket_since(key: str) -> datetime:
    """When the ticket was issued, in UTC."""
    text = key.removeprefix(TICKETS).partition("-")[0]
    return datetime.strptime(text, TICKET_TIME).replace(tzinfo=UTC)


LAST_COMPANION = "last/companion.png"
"""Below a run's prefix, where the model's role may read `work/runs/*/companion.png`."""


@dataclass(frozen=True, slots=True)
class RunKeys:
    """The keys of one run, all below a prefix that contains its nonce."""

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
        """A separate prefix for each planner: two may plan the same slice, and only one commits."""
        return f"{self.prefix}plans/{attempt}-{index:06}-{planner}/"

    def progress(self, attempt: int, index: int) -> str:
        """The progress of a slice: one small object for each page that was sent or completed."""
        return f"{self.prefix}progress/{attempt}-{index:06}/"

    @property
    def companion(self) -> str:
        """The companion image, added to jobs in which possibly no other image gets labels."""
        return f"{self.prefix}companion.png"

    @property
    def last_companion(self) -> str:
        """The same image again, behind all others: its answer shows that each of them was tried."""
        return f"{self.prefix}{LAST_COMPANION}"

    @property
    def closing(self) -> str:
        """The state of closing the run: whether remaining images are counted and the report is
        written."""
        return f"{self.prefix}closing.json"

    @property
    def notice(self) -> str:
        """The notice that the run has ended, and whether it was sent."""
        return f"{self.prefix}notice.json"

    def part(self, name: str) -> str:
        """The key prefix of a report's parts, while the report is being written."""
        return f"{self.prefix}report/{name}"

    @property
    def outputs(self) -> str:
        """The prefix of the outputs of all jobs of the run."""
        return f"{self.prefix}output/"

    def output(self, job: "JobName") -> str:
        return f"{self.outputs}{job.attempt}-{job.index:06}-{job.part}/"


def run_of(key: str) -> RunKeys | None:
    """The run that a key or S3 URI below `work/runs/` belongs to; None for any other key."""
    match = re.search(rf"(?:^|^s3://[^/]+/){RUNS}([^/]+)/([^/]+)/", key)
    return RunKeys(match[1], match[2]) if match else None


@dataclass(frozen=True, slots=True)
class JobName:
    """The name of a transform job, at most 63 characters. It identifies stage, run and slice.

    Unique for ever: SageMaker does not delete transform jobs, so a name can be used only once.
    """

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
