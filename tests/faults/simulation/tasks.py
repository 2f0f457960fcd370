"""What a worker of the product does with a message, down to the calls that it makes to S3."""

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from aws.bucket import Bucket, Listed
from batch.planning.listing import UNLISTED, AnswerRequirement, ListedImage
from functions.inbox import FetchedImage, fetch
from functions.outbox import NoAnswer, delete_result
from tests.faults.simulation.steps import Told
from tests.support.worlds.collecting import Row, collect
from tests.support.worlds.uploads import World, notification, sqs_event


@dataclass(frozen=True, slots=True)
class Send:
    """A message that who did its work leaves behind."""

    task: "Task"


@dataclass(frozen=True, slots=True)
class Then:
    """More of the same work."""

    task: "Task"


@dataclass(frozen=True, slots=True)
class Take:
    """An event of S3's. A folder's beat has the folder looked at, sooner or later."""

    key: str
    event: str

    def work(self, s3: Told) -> Send | None:
        world = _world(s3)
        body = notification(self.key, self.event)
        world.uploads().accept(SQSRecord(sqs_event(body)["Records"][0]))
        return Send(Look(self.key)) if world.sent("folder") else None


@dataclass(frozen=True, slots=True)
class Look:
    """A run comes to the image; its job, where there is to be one, reads what the run has seen."""

    key: str

    def work(self, s3: Told) -> Send | None:
        seen = _world(s3).uploads().outbox
        image = fetch(seen.s3, seen.bucket, self.key, limit=100)
        if not isinstance(image, FetchedImage):
            return None
        listed = Listed(self.key, image.source.etag, image.source.bytes, image.last_modified)
        reason = AnswerRequirement().reason(
            Bucket(seen.s3, seen.bucket), ListedImage(listed, UNLISTED)
        )
        row = Row(self.key, image.source.etag, image.content, 1)
        return Send(Collect(row)) if reason else None


@dataclass(frozen=True, slots=True)
class Collect:
    row: Row

    def work(self, s3: Told) -> Then | None:
        outcome = collect(_world(s3).uploads().outbox, self.row)
        return Then(Withdraw(self.row.key)) if isinstance(outcome, NoAnswer) else None


@dataclass(frozen=True, slots=True)
class Withdraw:
    """What a page does where the image has changed; the run looks once more when it has ended."""

    key: str

    def work(self, s3: Told) -> Send:
        delete_result(_world(s3).uploads().outbox, self.key)
        return Send(Look(self.key))


def _world(s3: Told) -> World:
    told: Any = s3
    return World(s3=told)


Task = Take | Look | Collect | Withdraw
