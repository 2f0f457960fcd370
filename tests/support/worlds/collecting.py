"""What a page does with one row of a transform job."""

from dataclasses import dataclass
from functools import partial

from domain.result import How, Result
from functions.answer import result_of
from functions.inbox import Image, peek
from functions.outbox import Outbox, Outcome, reconcile
from tests.support.worlds.uploads import model, reply_to

HOW = How("batch", "job", 1, "2026-01-01T00:00:00Z")


@dataclass(frozen=True, slots=True)
class Row:
    """What a transform job saw of one image, and by which model."""

    key: str
    etag: str
    content: bytes
    number: int


def collect(outbox: Outbox, row: Row) -> Outcome:
    def answer(image: Image) -> Result | None:
        if image.source.etag != row.etag:
            return None
        return result_of(row.key, image.source, reply_to(row.content, model(row.number)), HOW)

    return reconcile(outbox, row.key, partial(peek, outbox.s3, outbox.bucket), answer)
