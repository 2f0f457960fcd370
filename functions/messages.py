"""The messages of the queues, and their parsers; `to_json` is the inverse for our own messages.

A malformed message raises MalformedError, so that SQS retries it and then moves it to the
dead-letter queue.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import unquote_plus

from batch.planning.slice import PageRef
from batch.reports.training_notice import STATES, TrainingEnded
from domain.errors import SortboxError
from domain.keys import JobName, RunKeys, run_of
from domain.scope import Kind
from functions.allowance import UNKNOWN_UPLOADER, Uploader


class MalformedError(SortboxError, ValueError):
    """The message is not of a type that this queue carries."""


@dataclass(frozen=True, slots=True)
class Changed:
    """An S3 event about an inbox key (URL-decoded). Only a hint: the object may have changed since.

    `size`: of a created object, in bytes. `moved`: this message was moved to the backlog queue.
    `restored`: S3 has restored the archived object, which can be read for some days. `expired`: a
    lifecycle rule has removed the object.
    """

    key: str
    removed: bool
    size: int | None = None
    uploader: Uploader = UNKNOWN_UPLOADER
    moved: bool = False
    restored: bool = False
    expired: bool = False


@dataclass(frozen=True, slots=True)
class LookAgain:
    """Examine a key again, because a model that was not active answered it; `again` counts from
    1."""

    key: str
    again: int


@dataclass(frozen=True, slots=True)
class NotificationsEnabled:
    """S3's test event, sent once when notifications are enabled."""


InboxMessage = Changed | LookAgain | NotificationsEnabled


@dataclass(frozen=True, slots=True)
class QuietTimer:
    """A folder's quiet timer: no image arrived since if the debounce object has this nonce."""

    path: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Start:
    """Begin a run: a folder was marked ready, or a single is too large for the endpoint."""

    path: str


@dataclass(frozen=True, slots=True)
class Advance:
    """Advance the live run of the scope with this token."""

    token: str


@dataclass(frozen=True, slots=True)
class Unpack:
    """An archive of the inbox was uploaded, replaced or removed."""

    key: str


@dataclass(frozen=True, slots=True)
class NextArchive:
    """Continue with the archive whose turn it is after this one ("": any)."""

    after: str


@dataclass(frozen=True, slots=True)
class Reclassify:
    """Reclassify a prefix of the inbox, requested by a schedule or by a user.

    `confirmed`: the user has accepted the cost.
    """

    path: str
    kind: Kind
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class JobChanged:
    """An EventBridge event: one of our transform jobs changed its state. May be delivered twice."""

    run: RunKeys
    job: JobName
    status: str


@dataclass(frozen=True, slots=True)
class ForeignJob:
    """A job of another stage, or of another application in this account; a trial of a search, or
    a training job that has not ended.
    """

    job: str


FolderMessage = (
    QuietTimer
    | Start
    | Advance
    | Unpack
    | NextArchive
    | Reclassify
    | JobChanged
    | TrainingEnded
    | ForeignJob
)
OurMessage = (
    Changed | LookAgain | QuietTimer | Start | Advance | Unpack | NextArchive | Reclassify | PageRef
)


EXPIRATION = "LifecycleExpiration"
REMOVALS = ("ObjectRemoved", EXPIRATION)
"""Event types of a removal: by a request, and by a lifecycle rule."""

NAMES: dict[type[OurMessage], str] = {
    Changed: "moved",
    LookAgain: "look",
    QuietTimer: "quiet",
    Start: "start",
    Advance: "advance",
    Unpack: "unpack",
    NextArchive: "next-archive",
    Reclassify: "sweep",
    PageRef: "page",
}


def parse_inbox(body: str) -> tuple[InboxMessage, ...]:
    """Parse a message of the inbox queue; an S3 notification may contain several records.

    Raises MalformedError.
    """
    message = _object(body)
    match message:
        case {"Records": [*records]}:
            return tuple(_changed(record) for record in records)
        case {"look": {"key": str(key), "again": int(again)}}:
            return (LookAgain(key, again),)
        case {"moved": {"key": str(key), "removed": bool(removed), "size": size} as change} if (
            size is None or isinstance(size, int)
        ):
            restored = change.get("restored", False) is True  # absent in older messages
            return (Changed(key, removed, size, moved=True, restored=restored),)
        case {"Event": "s3:TestEvent"}:
            return (NotificationsEnabled(),)
    raise MalformedError(f"not a message of the inbox queue: {sorted(message)}")


def _changed(record: object) -> Changed:
    match record:
        case {"eventName": str(event), "s3": {"object": {"key": str(key)}}}:
            kind, restored = event.partition(":")[0], event == "ObjectRestore:Completed"
            if restored or kind in ("ObjectCreated", *REMOVALS):
                return Changed(
                    unquote_plus(key),
                    kind in REMOVALS,
                    *_details(record),
                    restored=restored,
                    expired=kind == EXPIRATION,
                )
            raise MalformedError(f"not an event that the inbox subscribes to: {event!r}")
    raise MalformedError("not an S3 event record")


def _details(record: object) -> tuple[int | None, Uploader]:
    """Size and uploader of an event. Optional: an unknown form yields None and an empty
    uploader."""
    size: int | None = None
    principal = address = ""
    match record:
        case {"s3": {"object": {"size": int(size)}}}:
            pass
    match record:
        case {"userIdentity": {"principalId": str(principal)}}:
            pass
    match record:
        case {"requestParameters": {"sourceIPAddress": str(address)}}:
            pass
    return size, Uploader(principal, address)


def parse_folder(body: str, stage: str) -> FolderMessage:
    """Parse a message of the folder queue. Raises MalformedError."""
    message = _object(body)
    match message:
        case {"quiet": {"path": str(path), "nonce": str(nonce)}}:
            return QuietTimer(path, nonce)
        case {"start": {"path": str(path)}}:
            return Start(path)
        case {"advance": {"token": str(token)}}:
            return Advance(token)
        case {"unpack": {"key": str(key)}}:
            return Unpack(key)
        case {"next-archive": {"after": str(key)}}:
            return NextArchive(key)
        case {
            "sweep": {
                "path": str(path),
                "kind": "unanswered" | "renewal" as kind,
                "confirmed": bool(confirmed),
            }
        }:
            return Reclassify(path, kind, confirmed)
        case {"source": "aws.sagemaker", "detail": dict(detail)}:
            return _job_event(detail, stage)
    raise MalformedError(f"not a message of the folder queue: {sorted(message)}")


def _job_event(detail: dict[str, Any], stage: str) -> JobChanged | TrainingEnded | ForeignJob:
    match detail:
        case {"TransformJobName": str(job)}:
            return _job_changed(job, detail, stage)
        case {"TrainingJobName": str(job)}:
            return _training_ended(job, detail, stage)
    raise MalformedError(f"not an event of a job: {sorted(detail)}")


def _training_ended(name: str, detail: dict[str, Any], stage: str) -> TrainingEnded | ForeignJob:
    """The detail mirrors DescribeTrainingJob, in which a trial of a search names its search."""
    status = detail.get("TrainingJobStatus")
    is_trial = bool(detail.get("TuningJobArn"))
    if is_trial or status not in STATES or not name.startswith(f"sortbox-{stage}-"):
        return ForeignJob(name)
    reason, model = detail.get("FailureReason"), detail.get("ModelArtifacts")
    uri = model.get("S3ModelArtifacts") if isinstance(model, dict) else None
    return TrainingEnded(name, str(status), str(reason) if reason else None, uri)


def _job_changed(name: str, detail: dict[str, Any], stage: str) -> JobChanged | ForeignJob:
    """The detail mirrors DescribeTransformJob; the manifest's URI identifies the run."""
    try:
        job = JobName.parse(name)
    except ValueError:
        return ForeignJob(name)
    if job.stage != stage:
        return ForeignJob(name)
    match detail:
        case {
            "TransformJobStatus": str(status),
            "TransformInput": {"DataSource": {"S3DataSource": {"S3Uri": str(uri)}}},
        }:
            run = run_of(uri)
            return JobChanged(run, job, status) if run else ForeignJob(name)
    raise MalformedError(f"the event of {name} does not tell its status and its input")


def parse_page(body: str) -> PageRef:
    """Parse a message of the page queue. Raises MalformedError."""
    match _object(body):
        case {
            "page": {
                "token": str(token),
                "nonce": str(nonce),
                "attempt": int(attempt),
                "index": int(index),
                "part": int(part),
                "page": int(page),
            }
        }:
            return PageRef(token, nonce, attempt, index, part, page)
    raise MalformedError("not a message of the page queue")


def to_json(message: OurMessage) -> str:
    """The body of one of our own messages."""
    return json.dumps({NAMES[type(message)]: asdict(message)})


def _object(body: str) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except ValueError as error:
        raise MalformedError(f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise MalformedError("not a JSON object")
    return message
