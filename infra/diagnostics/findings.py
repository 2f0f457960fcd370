"""Findings about a stage: each has a sentence for the user and facts for scripts."""

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
DEAD_LETTERS = {name: name for name in QUEUES} | {"job-event": "folder"}
"""The queues that have dead letters, and where those belong: events of jobs that never reached the
folder queue are messages for it."""

MAX_COUNTED = 100_000
"""The most images of a folder that are counted: 100 LIST requests, which take a few seconds."""

MAX_SHOWN = 10


@dataclass(frozen=True, slots=True)
class StatusFinding:
    about: str
    sentence: str
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StatusSources:
    """The clients that findings are read with. Only AWS APIs are used, so that any stage can be
    inspected.
    """

    stage: Stage
    bucket: Bucket
    sqs: "SQSClient"
    sagemaker: "SageMakerClient"


def active(sources: StatusSources) -> ActiveModel | None:
    return active_model.read(sources.bucket.client, sources.bucket.name).active


def of_model(active: ActiveModel | None) -> StatusFinding:
    if active is None:
        sentence = f"No model is active ({keys.ACTIVE_MODEL} is absent): nothing can be answered."
        return StatusFinding("model", sentence, {"active": None})
    sentence = f"The active model is {active.id.name}:{active.id.version}, since "
    return StatusFinding("model", f"{sentence}{active.activated_at}.", {"active": str(active.id)})


def of_endpoint(sources: StatusSources) -> StatusFinding:
    running = active(sources)
    mode = running.mode if running else "instance"
    if mode == "none":
        sentence = "The stage has no endpoint: transform jobs answer singles, gathered for a while."
        return StatusFinding("endpoint", sentence, {"status": None, "mode": mode})
    name = (running and running.endpoint) or sources.stage.endpoint
    try:
        endpoint = sources.sagemaker.describe_endpoint(EndpointName=name)
    except ClientError as error:
        if not is_missing(error):
            raise
        sentence = f"Endpoint {name} does not exist: promoting a model creates it."
        return StatusFinding("endpoint", sentence, {"status": None, "mode": mode})
    status, reason = endpoint["EndpointStatus"], endpoint.get("FailureReason")
    kind = "Serverless endpoint" if mode == "serverless" else "Endpoint"
    sentence = f"{kind} {name} is {status}{f': {reason}' if reason else ''}."
    facts = {"status": status, "reason": reason, "mode": mode}
    return StatusFinding("endpoint", sentence, facts)


def of_queues(sources: StatusSources) -> Iterator[StatusFinding]:
    """The queues, by name; dead-letter queues only if they contain messages."""
    for name in QUEUES:
        counts = _counts(sources, name)
        if counts is None:
            gone = "does not exist: the stage is not deployed, or was removed."
            yield StatusFinding(f"{name} queue", f"Queue {sources.stage.queue(name)} {gone}", {})
            continue
        waiting, delayed, in_flight = counts
        sentence = f"The {name} queue is empty."
        if waiting or delayed or in_flight:
            sentence = (
                f"The {name} queue ({sources.stage.queue(name)}): messages waiting {waiting}, for "
                f"later {delayed}, in progress or before their next try {in_flight}."
            )
        yield StatusFinding(
            f"{name} queue",
            sentence,
            {"waiting": waiting, "delayed": delayed, "taken": in_flight},
        )
    for name in DEAD_LETTERS:
        dead = sum(_counts(sources, f"{name}-dead") or ())
        if dead:
            sentence = f"Dead letters in {sources.stage.queue(f'{name}-dead')}: {dead}."
            yield StatusFinding(f"{name} dead letters", sentence, {"messages": dead})


def _counts(sources: StatusSources, name: str) -> tuple[int, int, int] | None:
    """The counts of messages by state; None if the queue does not exist."""
    try:
        url = sources.sqs.get_queue_url(QueueName=sources.stage.queue(name))["QueueUrl"]
    except sources.sqs.exceptions.QueueDoesNotExist:
        return None
    attributes = sources.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])[
        "Attributes"
    ]
    return (
        int(attributes["ApproximateNumberOfMessages"]),
        int(attributes["ApproximateNumberOfMessagesDelayed"]),
        int(attributes["ApproximateNumberOfMessagesNotVisible"]),
    )


def head_of(sources: StatusSources, key: str) -> ObjectHead | None:
    """The object's head, from the listing if HEAD is denied, as it is for SSE-C objects."""
    try:
        return sources.bucket.head(key)
    except ClientError as error:
        listed = next(iter(sources.bucket.page(key)), None)
        if denial_of(error) is None or listed is None or listed.key != key:
            raise
        return ObjectHead(listed, {})


def of_access(sources: StatusSources, key: str) -> Iterator[StatusFinding]:
    """Whether the user's credentials can read the image. The functions have roles of their own."""
    denial = OtherObjects(sources.bucket).denial(key)
    if denial:
        yield StatusFinding("access", f"With your credentials: {denial.why}", {"why": denial.why})


def of_image(key: str, image: ObjectHead | None) -> StatusFinding:
    if image is None:
        return StatusFinding("image", f"There is no {key}.", {"exists": False})
    listed = image.listed
    at = timestamps.to_text(listed.last_modified)
    return StatusFinding(
        "image",
        f"{key} is there since {at}: {listed.size:,} bytes, ETag {listed.etag}.",
        {"exists": True, "etag": listed.etag, "bytes": listed.size, "last_modified": at},
    )


def of_answer(
    sources: StatusSources, key: str, image: ObjectHead | None, active: ActiveModel | None
) -> StatusFinding:
    """The result of an image. `current` in the facts: it is for the image's current version, by any
    model.
    """
    where = keys.result_key(key)
    stored = sources.bucket.read(where)
    if stored is None:
        sentence = f"There is no answer yet ({where})."
        return StatusFinding("answer", sentence, {"exists": False, "current": False})
    answer = result.from_json(stored.body)
    current = image is not None and answer.source.version.is_same(image.version)
    by_active = answer.by is not None and active is not None and answer.by.model == active.id
    text = _answer_text(answer, by_active)
    stale = "" if current else ", but for an earlier version of it; a new answer is due"
    if image is None:
        stale = ", for an image that is gone; it is about to be removed"
    return StatusFinding(
        "answer",
        f"{where} says {text}{stale}.",
        {"exists": True, "current": current, "by_active_model": by_active}
        | json.loads(stored.body),
    )


def _answer_text(answer: Classified | Rejected, by_active: bool) -> str:
    if isinstance(answer, Rejected):
        return f"rejected, {answer.code}: {answer.message.rstrip('.')}"
    best = f"{answer.labels[0].label} {answer.labels[0].score:.2f}" if answer.labels else "no label"
    model = f"{answer.by.model.name}:{answer.by.model.version}"
    which = "the active model" if by_active else "which is not the active model"
    return f"{best}, by {model} ({which}), by the {answer.how.route}, at {answer.how.at}"


def of_run(sources: StatusSources, scope: Scope) -> Iterator[StatusFinding]:
    """The open run and its jobs; without a run, what the folder is waiting for."""
    stored = sources.bucket.read(keys.folder_file(scope, STATUS)) if scope.gathers else None
    status = json.loads(stored.body) if stored else None
    claimed = claim.read(sources.bucket, scope.token)
    if claimed is not None:
        yield _of_open_run(claimed.run, status)
        yield from _of_jobs(sources, scope, claimed.run)
        return
    if status is not None:
        reason = f": {status['reason']}" if status["reason"] else ""
        sentence = f"The last run is {status['state']} since {status['updated_at']}{reason}."
        yield StatusFinding("run", sentence, {"open": False} | status)
    beat = sources.bucket.head(keys.debounce_key(scope.token))
    if beat is not None and (
        status is None or beat.listed.last_modified > timestamps.parse(status["updated_at"])
    ):
        quiet = (datetime.now(UTC) - beat.listed.last_modified).total_seconds()
        yield StatusFinding(
            "timer",
            f"The folder was last added to {quiet:.0f} s ago. A run starts when it has been quiet "
            "for a while, or its first image has waited long, or at once with an object named "
            "_READY in it."
            if scope.is_folder
            else f"Such a single last arrived {quiet:.0f} s ago. A run starts when none has "
            "arrived for a while, or the first has waited long.",
            {"quiet_seconds": round(quiet)},
        )
    if status is None and beat is None:
        yield StatusFinding(
            "run", "No run has been asked for, or it is long forgotten.", {"open": False}
        )


def _of_open_run(run: Run, status: Mapping[str, Any] | None) -> StatusFinding:
    state = status["state"] if status and status["run"] == run.nonce else "starting"
    reason = f", {status['reason']}" if status and status["reason"] else ""
    sentence = f"Run {run.nonce} is open since {run.started_at}: {state}{reason}."
    return StatusFinding("run", sentence, {"open": True, "run": run.nonce, "state": state})


def _of_jobs(sources: StatusSources, scope: Scope, run: Run) -> Iterator[StatusFinding]:
    """The latest jobs of a run, newest first."""
    listing = sources.sagemaker.list_transform_jobs(
        NameContains=f"{sources.stage.prefix}{scope.slug}-{run.nonce}-",
        SortBy="CreationTime",
        SortOrder="Descending",
        MaxResults=MAX_SHOWN,
    )
    for job in listing["TransformJobSummaries"]:
        name, status, reason = (
            job["TransformJobName"],
            job["TransformJobStatus"],
            job.get("FailureReason"),
        )
        sentence = f"Job {name} is {status}{f': {reason}' if reason else ''}."
        yield StatusFinding("job", sentence, {"name": name, "status": status, "reason": reason})


def of_folder(sources: StatusSources, scope: Scope) -> StatusFinding:
    """How many images of the folder have results, counted in its listings."""
    listed = islice(sources.bucket.walk(keys.INBOX + scope.path), MAX_COUNTED)
    images = sum(isinstance(route(item.key), InFolder) for item in listed)
    written = islice(sources.bucket.walk(keys.OUTBOX + scope.path), MAX_COUNTED)
    answers = sum(_is_answer(item.key) for item in written)
    more = " or more" if MAX_COUNTED in (images, answers) else ""
    return StatusFinding(
        "folder",
        f"{keys.INBOX}{scope.path}: images {images:,}, answers {answers:,}{more}.",
        {"images": images, "answers": answers},
    )


def _is_answer(key: str) -> bool:
    image = keys.image_key(key)
    return image is not None and isinstance(route(image), InFolder)


def of_open_runs(sources: StatusSources) -> Iterator[StatusFinding]:
    for listed in islice(sources.bucket.walk(keys.CLAIMS), MAX_SHOWN):
        claimed = claim.read(sources.bucket, keys.claimed_token(listed.key))
        if claimed is not None and not claimed.run.scope.is_reclassification:
            large = "The singles that the endpoint does not take"
            whose = large if claimed.run.scope.is_large_singles else keys.INBOX + claimed.run.path
            sentence = f"{whose} {'have' if whose is large else 'has'} a run, since "
            sentence += f"{claimed.run.started_at}."
            yield StatusFinding(
                "run", sentence, {"path": claimed.run.path, "run": claimed.run.nonce}
            )


def of_jobs(sources: StatusSources) -> Iterator[StatusFinding]:
    """The runs that wait for a transform job slot; nothing if none waits."""
    now = datetime.now(UTC)
    line = slots.waiting(sources.bucket, now, Limits())
    if line:
        since = timestamps.to_text(keys.ticket_since(line[0].key))
        held = sum(1 for _ in sources.bucket.walk(keys.SLOTS))
        yield StatusFinding(
            "jobs",
            f"{len(line):,} runs wait for one of the stage's {held} transform jobs to end "
            f"(transformJobs in serverless.yml), the first since {since}.",
            {"runs_waiting": len(line), "slots": held, "since": since},
        )
