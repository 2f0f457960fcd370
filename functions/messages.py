"""What the queues carry, parsed at the door; `to_json` is the inverse for our own messages.

Whatever is malformed raises Malformed: the queue retries it and its dead letters keep it.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import unquote_plus

from batch.planning.slice import PageRef
from domain.errors import SortboxError
from domain.keys import JobName, RunKeys, run_of
from domain.scope import Kind
from functions.allowance import UNKNOWN_UPLOADER, Uploader


class MalformedError(SortboxError, ValueError):
    """No message that this queue is meant to carry."""


@dataclass(frozen=True, slots=True)
class Changed:
    """S3 saw something happen to an inbox key (decoded): a hint to look, never the truth.

    `size` in bytes, of what was created. `moved`: to the backlog, by us. `restored`: S3 has fetched
    the archived object back, and it may be read for some days.
    """

    key: str
    removed: bool
    size: int | None = None
    uploader: Uploader = UNKNOWN_UPLOADER
    moved: bool = False
    restored: bool = False


@dataclass(frozen=True, slots=True)
class LookAgain:
    """A key whose answer came from a model that was not the active one; `again` counts from 1."""

    key: str
    again: int


@dataclass(frozen=True, slots=True)
class NotificationsEnabled:
    """S3's test event, sent once when notifications are switched on."""


InboxMessage = Changed | LookAgain | NotificationsEnabled


@dataclass(frozen=True, slots=True)
class QuietTimer:
    """A folder's timer: the folder is complete if its beat still has this nonce."""

    path: str
    nonce: str


@dataclass(frozen=True, slots=True)
class Start:
    """A folder was marked ready, or a single is too large for the endpoint."""

    path: str


@dataclass(frozen=True, slots=True)
class Advance:
    """Something happened to the run that this scope's token names."""

    token: str


@dataclass(frozen=True, slots=True)
class Reclassify:
    """A schedule or a person wants all below a prefix of the inbox answered, or answered anew.

    `confirmed`: a person has seen what it costs.
    """

    path: str
    kind: Kind
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class JobChanged:
    """EventBridge saw a transform job of ours change its state; it may say so more than once."""

    run: RunKeys
    job: JobName
    status: str


@dataclass(frozen=True, slots=True)
class ForeignJob:
    """A transform job of another stage, or of somebody else in this account."""

    job: str


FolderMessage = QuietTimer | Start | Advance | Reclassify | JobChanged | ForeignJob
OurMessage = Changed | LookAgain | QuietTimer | Start | Advance | Reclassify | PageRef


REMOVALS = ("ObjectRemoved", "LifecycleExpiration")
"""Somebody removed the object, or a version of it; a lifecycle rule did, which S3 tells apart."""

NAMES: dict[type[OurMessage], str] = {
    Changed: "moved",
    LookAgain: "look",
    QuietTimer: "quiet",
    Start: "start",
    Advance: "advance",
    Reclassify: "sweep",
    PageRef: "page",
}


def parse_inbox(body: str) -> tuple[InboxMessage, ...]:
    """An S3 notification may tell of several objects."""
    message = _object(body)
    match message:
        case {"Records": [*records]}:
            return tuple(_changed(record) for record in records)
        case {"look": {"key": str(key), "again": int(again)}}:
            return (LookAgain(key, again),)
        case {"moved": {"key": str(key), "removed": bool(removed), "size": size} as change} if (
            size is None or isinstance(size, int)
        ):
            restored = change.get("restored", False) is True  # not told by those who knew no such
            return (Changed(key, removed, size, moved=True, restored=restored),)
        case {"Event": "s3:TestEvent"}:
            return (NotificationsEnabled(),)
    raise MalformedError(f"not a message of the inbox queue: {sorted(message)}")


def _changed(record: object) -> Changed:
    match record:
        case {"eventName": str(event), "s3": {"object": {"key": str(key)}}}:
            kind, restored = event.partition(":")[0], event == "ObjectRestore:Completed"
            if restored or kind in ("ObjectCreated", *REMOVALS):
                is_removal = kind in REMOVALS
                return Changed(unquote_plus(key), is_removal, *_details(record), restored=restored)
            raise MalformedError(f"not an event that the inbox subscribes to: {event!r}")
    raise MalformedError("not an S3 event record")


def _details(record: object) -> tuple[int | None, Uploader]:
    """What an event may leave out, or tell in a form that is not known: nothing depends on it."""
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
    message = _object(body)
    match message:
        case {"quiet": {"path": str(path), "nonce": str(nonce)}}:
            return QuietTimer(path, nonce)
        case {"start": {"path": str(path)}}:
            return Start(path)
        case {"advance": {"token": str(token)}}:
            return Advance(token)
        case {
            "sweep": {
                "path": str(path),
                "kind": "unanswered" | "renewal" as kind,
                "confirmed": bool(confirmed),
            }
        }:
            return Reclassify(path, kind, confirmed)
        case {"source": "aws.sagemaker", "detail": {"TransformJobName": str(job)} as detail}:
            return _job_changed(job, detail, stage)
    raise MalformedError(f"not a message of the folder queue: {sorted(message)}")


def _job_changed(name: str, detail: dict[str, Any], stage: str) -> JobChanged | ForeignJob:
    """The detail mirrors DescribeTransformJob; the manifest's address names the run."""
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
    return json.dumps({NAMES[type(message)]: asdict(message)})


def _object(body: str) -> dict[str, Any]:
    try:
        message = json.loads(body)
    except ValueError as error:
        raise MalformedError(f"not JSON: {error}") from error
    if not isinstance(message, dict):
        raise MalformedError("not a JSON object")
    return message
