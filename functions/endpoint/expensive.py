"""Reject images that are too expensive: those that time out three times in the same version.

A time-out counts only if the endpoint answers a tiny image right after it. The count is stored in
S3 below `work/timeouts/`, so that it does not depend on a process or message.
"""

import json
from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ReadTimeoutError,
)

from aws.bucket import Bucket
from aws.errors import code_of, container_status
from domain.keys import timeouts_key
from domain.model import ActiveModel, EndpointMode
from domain.reply import PROBE, Refused, Reply, Server
from functions.endpoint.classify import ask
from functions.endpoint.readiness import NO_ANSWER
from functions.inbox import FetchedImage, Image

if TYPE_CHECKING:
    from types_boto3_sagemaker_runtime.client import SageMakerRuntimeClient

TOO_EXPENSIVE = "too_expensive"

MOST_TIMEOUTS = 3

BUSY_STATUSES = (429, 503)
"""Statuses of a busy container, which say nothing about the image."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Counts time-outs. `probe` is a client with a read time-out of a few seconds, for checking
    whether the endpoint is healthy."""

    bucket: Bucket
    probe: "SageMakerRuntimeClient"

    def ask(
        self, endpoint: "SageMakerRuntimeClient", active: ActiveModel, image: FetchedImage
    ) -> Reply:
        """Send the image to the endpoint; Refused at the third time-out. Raises as
        `classify.ask`."""
        try:
            return ask(endpoint, active, image.content)
        except (BotoCoreError, ClientError) as error:
            if not is_timeout(error) or not self.is_healthy(active):
                raise
            if self.note(image, active, token_hex(5), of=active.mode) < MOST_TIMEOUTS:
                raise
        return refusal(active)

    def is_healthy(self, active: ActiveModel) -> bool:
        """Whether the endpoint answers a tiny image within the probe's time-out."""
        try:
            ask(self.probe, active, PROBE)
        except NO_ANSWER:
            return False
        return True

    def note(
        self, image: Image, active: ActiveModel, event: str, of: EndpointMode = "instance"
    ) -> int:
        """Record a time-out; returns how many this image version has had with this model.

        `event` identifies the time-out and counts once, as the page of a job may be retried. If two
        processes record at the same moment, one of them is not counted. Those `of` a serverless
        endpoint, whose container may only have started, do not count for a job.
        """
        key = timeouts_key(image.key)
        version = {
            "image": image.key,
            "etag": image.source.etag,
            "version_id": image.source.version_id,
            "model": str(active.id),
        } | ({"of": of} if of == "serverless" else {})
        stored = self.bucket.read(key)
        document = json.loads(stored.body) if stored else {}
        events: list[str] = document.pop("events", [])
        if document != version:
            events = []
        if event not in events and len(events) < MOST_TIMEOUTS:
            events = [*events, event]
            body = json.dumps(version | {"events": events}, ensure_ascii=False)
            self.bucket.replace(key, body, stored.etag if stored else None)
        return len(events)


def is_timeout(error: Exception) -> bool:
    """Whether the container took too long or crashed, as opposed to being busy."""
    if isinstance(error, ReadTimeoutError | ConnectionClosedError):
        return True
    if not isinstance(error, ClientError) or code_of(error) != "ModelError":
        return False
    status = container_status(error)
    return status is None or (
        not 100 <= status < 500 and status not in BUSY_STATUSES  # 0: it closed the connection
    )


def refusal(active: ActiveModel) -> Refused:
    """The refusal of an image that timed out too often."""
    sentence = (
        f"The model took too long over this image {MOST_TIMEOUTS} times, while it answered others. "
        "Make the image smaller, or save it again in another format."
    )
    return Refused(Server(str(active.id), "unknown"), TOO_EXPENSIVE, sentence)
