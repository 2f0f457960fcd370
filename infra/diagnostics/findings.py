"""What can be found out about a stage: each finding a sentence, and its facts for scripts."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from aws import active_model
from aws.bucket import Bucket, ObjectHead
from aws.errors import is_missing
from batch import claim
from batch.claim import Run
from batch.context import Limits
from batch.jobs import slots
from batch.status import STATUS
from batch.unreadable import OtherObjects, denial_of
from domain import keys, result, timestamps
from domain.model import ActiveModel
from domain.result import Classified, Rejected
from domain.route import InFolder, route
from domain.scope import Scope
from infra.stage import Stage

if TYPE_CHECKING:
    from types_boto3_sagemaker import SageMakerClient
    from types_boto3_sqs import SQSClient

QUEUES = ("inbox", "backlog", "folder", "page")
COUNTED = 100_000
"""Images of a folder beyond these are not counted: that is 100 LISTs, a few seconds."""

SHOWN = 10


@dataclass(frozen=True, slots=True)
class Finding:
    about: str
    sentence: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lookout:
    """What is asked: AWS's own answers only, so that any stage can be looked at."""

    stage: Stage
    bucket: Bucket
    sqs: "SQSClient"
    sagemaker: "SageMakerClient"


def active(look: Lookout) -> ActiveModel | None:
    return active_model.read(look.bucket.client, look.bucket.name).active


def of_model(active: ActiveModel | None) -> Finding:
    if active is None:
        sentence = f"No model is active ({keys.ACTIVE_MODEL} is absent): nothing can be answered."
        return Finding("model", sentence, {"active": None})
    sentence = f"The active model is {active.id.name}:{active.id.version}, since "
    return Finding("model", f"{sentence}{active.activated_at}.", {"active": str(active.id)})


def of_endpoint(look: Lookout) -> Finding:
    name = look.stage.endpoint
    try:
        found = look.sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if not is_missing(error):
            raise
        return Finding("endpoint", f"Endpoint {name} does not exist.", {"status": None})
    status, reason = found["EndpointStatus"], found.get("FailureReason")
    sentence = f"Endpoint {name} is {status}{f': {reason}' if reason else ''}."
    return Finding("endpoint", sentence, {"status": status, "reason": reason})


def of_queues(look: Lookout) -> Iterator[Finding]:
    """Dead letters are told of only where there are some."""
    for name in QUEUES:
        counts = _counts(look, name)
        if counts is None:
            gone = "does not exist: the stage is not deployed, or was removed."
            yield Finding(f"{name} queue", f"Queue {look.stage.queue(name)} {gone}", {})
            continue
        waiting, delayed, taken = counts
        yield Finding(
            f"{name} queue",
            f"Queue {look.stage.queue(name)}: {waiting} waiting, {delayed} delayed, "
            f"{taken} being worked on or waiting to be tried again.",
            {"waiting": waiting, "delayed": delayed, "taken": taken},
        )
    for name in (*QUEUES, "job-event"):
        dead = sum(_counts(look, f"{name}-dead") or ())
        if dead:
            sentence = f"Dead letters in {look.stage.queue(f'{name}-dead')}: {dead}."
            yield Finding(f"{name} dead letters", sentence, {"messages": dead})


def _counts(look: Lookout, name: str) -> tuple[int, int, int] | None:
    """None where there is no such queue."""
    try:
        url = look.sqs.get_queue_url(QueueName=look.stage.queue(name))["QueueUrl"]
    except look.sqs.exceptions.QueueDoesNotExist:
        return None
    found = look.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return (
        int(found["ApproximateNumberOfMessages"]),
        int(found["ApproximateNumberOfMessagesDelayed"]),
        int(found["ApproximateNumberOfMessagesNotVisible"]),
    )


def head_of(look: Lookout, key: str) -> ObjectHead | None:
    """As the listing has it where HEAD does not show it, as it does not of SSE-C."""
    try:
        return look.bucket.head(key)
    except ClientError as error:
        listed = next(iter(look.bucket.page(key)), None)
        if denial_of(error) is None or listed is None or listed.key != key:
            raise
        return ObjectHead(listed, {})


def of_access(look: Lookout, key: str) -> Iterator[Finding]:
    """Whether the image can be read by who asks: the functions have roles of their own."""
    denial = OtherObjects(look.bucket).denial(key)
    if denial:
        yield Finding("access", f"With your credentials: {denial.why}", {"why": denial.why})


def of_image(key: str, image: ObjectHead | None) -> Finding:
    if image is None:
        return Finding("image", f"There is no {key}.", {"exists": False})
    seen = image.listed
    at = timestamps.to_text(seen.last_modified)
    return Finding(
        "image",
        f"{key} is there since {at}: {seen.size:,} bytes, ETag {seen.etag}.",
        {"exists": True, "etag": seen.etag, "bytes": seen.size, "last_modified": at},
    )


def of_answer(
    look: Lookout, key: str, image: ObjectHead | None, active: ActiveModel | None
) -> Finding:
    """`current`: the answer is for the image as it is now, whichever model gave it."""
    where = keys.result_key(key)
    stored = look.bucket.read(where)
    if stored is None:
        sentence = f"There is no answer yet ({where})."
        return Finding("answer", sentence, {"exists": False, "current": False})
    found = result.from_json(stored.body)
    current = image is not None and found.source.version.is_same(image.version)
    by_active = found.by is not None and active is not None and found.by.model == active.id
    told = _told(found, by_active)
    stale = "" if current else ", but for an earlier version of it; a new answer is due"
    if image is None:
        stale = ", for an image that is gone; it is about to be removed"
    return Finding(
        "answer",
        f"{where} says {told}{stale}.",
        {"exists": True, "current": current, "by_active_model": by_active}
        | json.loads(stored.body),
    )


def _told(found: Classified | Rejected, by_active: bool) -> str:
    if isinstance(found, Rejected):
        return f"rejected, {found.code}: {found.message.rstrip('.')}"
    best = f"{found.labels[0].label} {found.labels[0].score:.2f}" if found.labels else "no label"
    model = f"{found.by.model.name}:{found.by.model.version}"
    which = "the active model" if by_active else "which is not the active model"
    return f"{best}, by {model} ({which}), by the {found.how.route}, at {found.how.at}"


def of_run(look: Lookout, scope: Scope) -> Iterator[Finding]:
    """The open run and its jobs; where there is none, what the folder waits for."""
    told = look.bucket.read(keys.folder_file(scope, STATUS)) if scope.gathers else None
    status = json.loads(told.body) if told else None
    claimed = claim.read(look.bucket, scope.token)
    if claimed is not None:
        yield _of_open_run(claimed.run, status)
        yield from _of_jobs(look, scope, claimed.run)
        return
    if status is not None:
        reason = f": {status['reason']}" if status["reason"] else ""
        sentence = f"The last run is {status['state']} since {status['updated_at']}{reason}."
        yield Finding("run", sentence, {"open": False} | status)
    beat = look.bucket.head(keys.debounce_key(scope.token))
    if beat is not None and (
        status is None or beat.listed.last_modified > timestamps.parse(status["updated_at"])
    ):
        quiet = (datetime.now(UTC) - beat.listed.last_modified).total_seconds()
        yield Finding(
            "timer",
            f"The folder was last added to {quiet:.0f} s ago. A run starts when it has been quiet "
            "for a while, or its first image has waited long, or at once with an object named "
            "_READY in it.",
            {"quiet_seconds": round(quiet)},
        )
    if status is None and beat is None:
        yield Finding("run", "No run has been asked for, or it is long forgotten.", {"open": False})


def _of_open_run(run: Run, status: Mapping[str, Any] | None) -> Finding:
    state = status["state"] if status and status["run"] == run.nonce else "starting"
    reason = f", {status['reason']}" if status and status["reason"] else ""
    sentence = f"Run {run.nonce} is open since {run.started_at}: {state}{reason}."
    return Finding("run", sentence, {"open": True, "run": run.nonce, "state": state})


def _of_jobs(look: Lookout, scope: Scope, run: Run) -> Iterator[Finding]:
    """The latest jobs of a run, the last one first."""
    found = look.sagemaker.list_transform_jobs(
        NameContains=f"{look.stage.prefix}{scope.slug}-{run.nonce}-",
        SortBy="CreationTime",
        SortOrder="Descending",
        MaxResults=SHOWN,
    )
    for job in found["TransformJobSummaries"]:
        name, status, reason = (
            job["TransformJobName"],
            job["TransformJobStatus"],
            job.get("FailureReason"),
        )
        sentence = f"Job {name} is {status}{f': {reason}' if reason else ''}."
        yield Finding("job", sentence, {"name": name, "status": status, "reason": reason})


def of_folder(look: Lookout, scope: Scope) -> Finding:
    """How much of the folder has answers, counted in its listings."""
    listed = islice(look.bucket.walk(keys.INBOX + scope.path), COUNTED)
    images = sum(isinstance(route(each.key), InFolder) for each in listed)
    written = islice(look.bucket.walk(keys.OUTBOX + scope.path), COUNTED)
    answers = sum(_is_answer(each.key) for each in written)
    more = " or more" if COUNTED in (images, answers) else ""
    return Finding(
        "folder",
        f"{keys.INBOX}{scope.path}: images {images:,}, answers {answers:,}{more}.",
        {"images": images, "answers": answers},
    )


def _is_answer(key: str) -> bool:
    image = keys.image_key(key)
    return image is not None and isinstance(route(image), InFolder)


def of_open_runs(look: Lookout) -> Iterator[Finding]:
    for listed in islice(look.bucket.walk(keys.CLAIMS), SHOWN):
        found = claim.read(look.bucket, keys.claimed_token(listed.key))
        if found is not None and not found.run.scope.is_reclassification:
            large = "The singles that are too large for the endpoint"
            whose = large if found.run.scope.is_large_singles else keys.INBOX + found.run.path
            sentence = f"{whose} {'have' if whose is large else 'has'} a run, since "
            sentence += f"{found.run.started_at}."
            yield Finding("run", sentence, {"path": found.run.path, "run": found.run.nonce})


def of_jobs(look: Lookout) -> Iterator[Finding]:
    """Who waits for a transform job; nothing where nobody does."""
    now = datetime.now(UTC)
    line = slots.waiting(look.bucket, now, Limits())
    if line:
        since = timestamps.to_text(keys.ticket_since(line[0].key))
        held = sum(1 for _ in look.bucket.walk(keys.SLOTS))
        yield Finding(
            "jobs",
            f"{len(line):,} runs wait for one of the stage's {held} transform jobs to end "
            f"(transformJobs in serverless.yml), the first since {since}.",
            {"runs_waiting": len(line), "slots": held, "since": since},
        )
