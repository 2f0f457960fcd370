"""Convert a reply of the model's container into a result for the outbox."""

from domain.keys import MANIFEST_KEY_BYTES, fits_manifest
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
from domain.route import ENDPOINT_BYTES, LARGEST_BYTES
from functions.inbox import Image, Unreadable


def result_of(image: str, source: Source, reply: Reply, how: How) -> Result:
    """The result for `image` (an inbox key).

    Raises ValueError if the reply does not name its model: such a reply cannot be published.
    """
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
                decision=reply.decision,
            )


def unreadable(image: Unreadable, how: How) -> Rejected:
    """The rejection of an image that S3 does not let us read."""
    return Rejected(image.key, image.source, None, how, UNREADABLE, image.why)


def too_large(image: Image) -> str | None:
    """Why an image that exceeds the endpoint's limit cannot be classified by Batch Transform
    either.

    A sentence for the uploader; None if Batch Transform can classify it.
    """
    size = image.source.bytes
    if size > LARGEST_BYTES:
        return f"The image has {size} bytes; at most {LARGEST_BYTES} can be classified."
    if not fits_manifest(image.key):
        return (
            f"The image has {image.source.bytes} bytes; beyond {ENDPOINT_BYTES} it needs a plainer"
            f" name. Rename it: at most {MANIFEST_KEY_BYTES} bytes, no control characters, no"
            " path segments that are empty or all dots."
        )
    return None
