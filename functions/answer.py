"""What the model's container said about an image, as the result a person reads."""

from domain.model import ModelId
from domain.reply import Labelled, Refused, Reply
from domain.result import AnsweredBy, Classified, How, Rejected, Result, Source


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
