"""A worker a step at a time: the product's own code, stopped before each call to S3 it makes.

What a worker does next depends on nothing but the answers it has had. So no thread has to be held
up: the code is run from its beginning, with the answers of before, to the first call that has none
yet. That is done once for each such history, and remembered.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

from tests.support.fakes.aws import FakeObject, FakeS3, error

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
ELSEWHERE = "work/"
"""What is written there is never read by those who answer: it needs no step of its own."""

Items = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True)
class Stored:
    """An object without its times and versions, by which no two states would be equal."""

    body: bytes
    etag: str
    metadata: Items

    @classmethod
    def of(cls, whole: FakeObject) -> "Stored":
        return cls(whole.body, whole.etag, tuple(sorted(whole.metadata.items())))

    def whole(self) -> FakeObject:
        return FakeObject(self.body, self.etag, "", EPOCH, dict(self.metadata), "")


@dataclass(frozen=True, slots=True)
class Written:
    """A write that S3 took."""


@dataclass(frozen=True, slots=True)
class Trouble:
    status: int
    code: str


Answer = Stored | Written | Trouble
Objects = tuple[tuple[str, Stored], ...]
"""A bucket: its objects by key, in order."""


@dataclass(frozen=True, slots=True)
class Call:
    operation: str
    key: str
    about: Items = ()


@cache
def made(call: Call, objects: Objects) -> tuple[Objects, Answer]:
    """The bucket after the call, and what S3 answered: the S3 of the unit tests."""
    s3 = FakeS3(objects={key: stored.whole() for key, stored in objects})
    about = {name: dict(each) if name == "Metadata" else each for name, each in call.about}
    try:
        getattr(s3, call.operation)(Bucket=s3.bucket, Key=call.key, **about)
    except ClientError as no:
        status = no.response["ResponseMetadata"]["HTTPStatusCode"]
        return objects, Trouble(status, no.response["Error"]["Code"])
    if call.operation in ("head_object", "get_object"):
        return objects, dict(objects)[call.key]
    after = sorted((key, Stored.of(whole)) for key, whole in s3.objects.items())
    return tuple(after), Written()


class Stopped(BaseException):
    """The worker has come to a call that nobody has answered yet."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self.call = call


class Told:
    """boto3's S3 client that knows some answers, and stops whoever asks for more."""

    def __init__(self, answers: tuple[Answer, ...]) -> None:
        self._answers = iter(answers)

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        return self._read("head_object", Key).headers()

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        found = self._read("get_object", Key)
        return found.headers() | {"Body": io.BytesIO(found.body)}

    def put_object(self, *, Bucket: str, Key: str, ContentType: str, **about: Any) -> None:
        if "Metadata" in about:
            about["Metadata"] = tuple(sorted(about["Metadata"].items()))
        if not Key.startswith(ELSEWHERE):
            self._ask(Call("put_object", Key, tuple(sorted(about.items()))))

    def delete_object(self, *, Bucket: str, Key: str, **about: Any) -> None:
        self._ask(Call("delete_object", Key, tuple(sorted(about.items()))))

    def _read(self, operation: str, key: str) -> FakeObject:
        found = self._ask(Call(operation, key))
        assert isinstance(found, Stored)
        return found.whole()

    def _ask(self, call: Call) -> Stored | Written:
        answer = next(self._answers, None)
        match answer:
            case None:
                raise Stopped(call)
            case Trouble(status, code):
                raise error(call.operation, status, code)
            case _:
                return answer


def next_call(work: Callable[[Told], Any], answers: tuple[Answer, ...]) -> Call | Any:
    """The call that `work` makes after these answers, or what it returns."""
    try:
        return work(Told(answers))
    except Stopped as stopped:
        return stopped.call
