"""Answers in an outbox, as `functions.outbox` stores them."""

from typing import Any

from domain.keys import INBOX, result_key
from domain.model import ModelId
from domain.reply import Label
from domain.result import AnsweredBy, Classified, How, Previous, Rejected, Result, Source, to_json

DIGEST = "sha256:" + "d" * 64
PETS = ModelId("pets", 1, DIGEST)


def classified(
    name: str,
    *labels: tuple[str, float],
    etag: str = "e1",
    model: ModelId = PETS,
    at: str = "2026-11-28T09:00:00Z",
    previous: Previous | None = None,
) -> Classified:
    """The answer for `inbox/<name>`; without labels it is a cat."""
    return Classified(
        image=INBOX + name,
        source=Source("bucket", etag, None, 1234),
        by=AnsweredBy(model, DIGEST),
        how=How("endpoint", None, 1, at),
        labels=tuple(Label(*one) for one in labels or (("cat", 0.9), ("dog", 0.1))),
        width=640,
        height=480,
        format="jpeg",
        model_ms=12.5,
        previous=previous,
    )


def rejected(
    name: str, code: str = "truncated", etag: str = "e1", at: str = "2026-11-28T09:00:00Z"
) -> Rejected:
    how = How("batch", "job", 1, at)
    source = Source("bucket", etag, None, 12)
    sentence = "The file ends too early. Upload it again."
    return Rejected(INBOX + name, source, AnsweredBy(PETS, DIGEST), how, code, sentence)


def store(s3: Any, bucket: str, *results: Result) -> None:
    for result in results:
        s3.put_object(Bucket=bucket, Key=result_key(result.image), Body=to_json(result).encode())
