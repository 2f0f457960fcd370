"""What the model's container said about an image, as the result a person reads."""

from datetime import UTC, datetime

from domain.model import ModelId
from domain.reply import Labelled, Refused, Reply
from domain.result import (
    UNREADABLE,
    AnsweredBy,
    Classified,
    How,
    Rejected,
    Result,
    Source,
)
from functions.inbox import Unreadable


def result_of(image: str, source: Source, reply: Reply, how: How) -> Result:
    """Raises ValueError where the container does not say which model it runs: that is no answer."""
    by = AnsweredBy(ModelId.parse(reply.server.model_id), reply.server.container)
    match reply:
        case Refused():
            return Rejected(image, source, by, how, reply.code, reply.message)
        case Labelled():
            return Classified(
                image=image,
                source=source,
                by=by,
                how=how,
                labels=reply.labels,
                width=reply.width,
                height=reply.height,
                format=reply.format,
                model_ms=reply.model_ms,
            )


def unreadable(image: Unreadable, how: How) -> Rejected:
    return Rejected(image.key, image.source, None, how, UNREADABLE, image.why)


def instant(moment: datetime) -> str:
    """ISO 8601 in UTC, to the second: 2026-11-22T09:00:00Z."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
