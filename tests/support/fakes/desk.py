"""An outbox over an in-memory bucket, with one image to answer."""

from collections.abc import Callable
from functools import partial
from typing import Any

from domain.keys import result_key
from domain.result import How, Rejected, Result
from functions.answer import result_of
from functions.inbox import Image, peek
from functions.outbox import Outbox, Outcome, reconcile
from tests.support.fakes.aws import FakeS3
from tests.support.worlds.uploads import active, model, reply_to

KEY = "inbox/cat.jpg"
HOW = How("endpoint", None, 1, "2026-01-01T00:00:00Z")


def by(number: int, content: bytes = b"cat") -> Callable[[Image], Result | None]:
    """What model `number` answers, having seen `content`."""
    return lambda image: result_of(KEY, image.source, reply_to(content, model(number)), HOW)


def too_large(image: Image) -> Result:
    return Rejected(KEY, image.source, None, HOW, "too_large", "It is too large.")


class Desk:
    """An outbox whose active model is number 1, and what it queued to be looked at again."""

    def __init__(self) -> None:
        self.s3 = FakeS3()
        self.number = 1
        self.again: list[str] = []
        s3: Any = self.s3
        self.outbox = Outbox(s3, "bucket", lambda: active(self.number), self.again.append)

    def upload(self, content: bytes = b"cat", key: str = KEY) -> None:
        self.s3.put_object(Bucket="bucket", Key=key, Body=content)

    def reconcile(self, answer: Callable[[Image], Result | None]) -> Outcome:
        return reconcile(self.outbox, KEY, partial(peek, self.outbox.s3, "bucket"), answer)

    def stands(self) -> dict[str, str] | None:
        stored = self.s3.objects.get(result_key(KEY))
        return stored.metadata if stored else None

    def before(self, operation: str, act: Callable[[], object], times: int = 1) -> None:
        """`act` happens before the next `times` calls of this operation."""
        left = [act] * times

        def hook(called: str, key: str) -> None:
            if called == operation and left:
                step = left.pop()
                self.s3.hook = lambda called, key: None
                step()
                self.s3.hook = hook

        self.s3.hook = hook
