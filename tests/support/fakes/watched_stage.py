"""A stage that is watched: a console's bucket with images, answers and runs as they are stored."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from aws.bucket import Bucket
from batch.claim import Run
from domain import keys, result
from domain.model import ModelId
from domain.result import Source
from domain.scope import Scope
from tests.support.builders.answers import classified, rejected

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
AT = "2026-01-01T12:00:00Z"
IMAGENET = ModelId("imagenet", 1, f"sha256:{'0' * 64}")


class QuietSageMaker:
    """An endpoint in service, and the transform jobs that a test names."""

    def __init__(self, jobs: tuple[str, ...] = ()) -> None:
        self.jobs = jobs

    def describe_endpoint(self, **request: Any) -> dict[str, Any]:
        return {"EndpointStatus": "InService"}

    def list_transform_jobs(self, **request: Any) -> dict[str, Any]:
        rows = [{"TransformJobName": job, "TransformJobStatus": "InProgress"} for job in self.jobs]
        return {"TransformJobSummaries": rows}


class NoEndpoint(QuietSageMaker):
    """A stage whose endpoint is gone."""

    def describe_endpoint(self, **request: Any) -> dict[str, Any]:
        error: Any = {
            "Error": {"Code": "ValidationException", "Message": 'Could not find endpoint "gone".'},
            "ResponseMetadata": {"HTTPStatusCode": 400},
        }
        raise ClientError(error, "DescribeEndpoint")


def upload(bucket: Bucket, *names: str) -> None:
    for name in names:
        bucket.put(f"{keys.INBOX}{name}", name)


def classify(bucket: Bucket, *names: str, label: str = "cat", score: float = 0.9) -> None:
    """Answer images as the endpoint does."""
    for name in names:
        image = f"{keys.INBOX}{name}"
        made = classified(name, (label, score), model=IMAGENET, at=AT)
        document = replace(made, source=_source(bucket, image))
        bucket.put(keys.result_key(image), result.to_json(document))


def reject(bucket: Bucket, name: str, code: str, message: str) -> None:
    image = f"{keys.INBOX}{name}"
    made = rejected(name, code, at=AT)
    document = replace(made, source=_source(bucket, image), by=None, message=message)
    bucket.put(keys.result_key(image), result.to_json(document))


def _source(bucket: Bucket, image: str) -> Source:
    head = bucket.head(image)
    assert head is not None
    return Source(bucket.name, head.listed.etag, head.version_id, head.listed.size)


def open_run(bucket: Bucket, folder: str, state: str = "running", reason: str = "") -> None:
    """A run of a folder that goes on, with its status."""
    scope = Scope(f"{folder}/")
    run = Run(scope.path, "0123456789", AT, first=True)
    bucket.put(keys.claim_key(scope.token), run.to_json())
    _status(bucket, scope, state, reason or None, NOON)


def finish(bucket: Bucket, folder: str, images: int = 1, minutes: int = 0) -> None:
    """The run of a folder is done, so many minutes after noon."""
    scope = Scope(f"{folder}/")
    bucket.client.delete_object(Bucket=bucket.name, Key=keys.claim_key(scope.token))
    _status(bucket, scope, "finished", None, NOON + timedelta(minutes=minutes))
    counts = {"images": images, "classified": images, "rejected": 0, "ignored_reasons": {}}
    bucket.put(keys.folder_file(scope, "_summary.json"), json.dumps(counts))


def _status(bucket: Bucket, scope: Scope, state: str, reason: str | None, at: datetime) -> None:
    status = {
        "schema": 1,
        "folder": keys.INBOX + scope.path,
        "state": state,
        "reason": reason,
        "run": "0123456789",
        "started_at": AT,
        "updated_at": at.isoformat().replace("+00:00", "Z"),
    }
    bucket.put(keys.folder_file(scope, "_status.json"), json.dumps(status))
