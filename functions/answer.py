"""Convert a reply of the model's container into a result for the outbox."""

from domain.keys import MANIFEST_KEY_BYTES, fits_manifest
from domain.model import ModelId
from domain.reply import Labelled, Refused, Reply
from domain.result import (
    UNREADABLE,
    UNSUPPORTED_NAME,
    AnsweredBy,
    Classified,
    How,
    Rejected,
    Result,
    Source,
)
from domain.route import LARGEST_BYTES
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


def unfit_for_jobs(image: Image, how: How, limit: int) -> Rejected | None:
    """The rejection of an image that the endpoint does not take, as it takes at most `limit` bytes
    (-1: there is no endpoint), and that Batch Transform cannot classify either.

    None if Batch Transform can.
    """
    size = image.source.bytes
    if size > LARGEST_BYTES:
        why = f"The image has {size} bytes; at most {LARGEST_BYTES} can be classified."
        return Rejected(image.key, image.source, None, how, "too_large", why)
    if size == 0:
        return Rejected(image.key, image.source, None, how, "empty", "The file is empty.")
    if fits_manifest(image.key):
        return None
    rename = (
        f"Rename it: at most {MANIFEST_KEY_BYTES} bytes, no control characters, no path segments"
        " that are empty or all dots."
    )
    if limit < 0:
        why = f"This stage has no endpoint, and a transform job needs a plainer name. {rename}"
        return Rejected(image.key, image.source, None, how, UNSUPPORTED_NAME, why)
    why = f"The image has {size} bytes; beyond {limit} it needs a plainer name. {rename}"
    return Rejected(image.key, image.source, None, how, "too_large", why)
