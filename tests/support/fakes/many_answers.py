"""An S3 with any number of answers, which are computed when they are read and held nowhere.

Also a runtime whose endpoint makes thumbnails, at once or as slowly as a test needs.
"""

import hashlib
import io
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from types import SimpleNamespace
from typing import Any

from PIL import Image

from console.answers.index import AnswerRow, to_row
from domain import timestamps
from domain.keys import ACTIVE_MODEL, INBOX, image_key, result_key
from domain.model import ActiveModel, ModelId
from domain.reply import Label
from domain.result import AnsweredBy, Classified, How, Rejected, Result, Source, to_json
from tests.support.fakes.aws import error

LABELS = tuple(
    f"{kind} {number}" for kind in ("dog", "cat", "bird", "boat") for number in range(50)
)
MODELS = tuple(ModelId("pets", version, "sha256:" + f"{version}" * 64) for version in (1, 2))
FOLDER_IMAGES = 5_000
REJECTED_EVERY = 50
LISTED_AT_ONCE = 1_000
BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
ACTIVE = ActiveModel(MODELS[1], "sortbox-dev", "sortbox-dev-model", "2026-11-01T00:00:00Z")


def image(number: int) -> str:
    """Keys sort as the numbers do."""
    return f"{INBOX}trip {number // FOLDER_IMAGES:03}/IMG_{number:07}.jpg"


def random_number(number: int, about: str) -> float:
    digest = hashlib.blake2b(f"{about}{number}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / 2**64


def answer(number: int) -> Result:
    source = Source("bucket", hashlib.md5(f"{number}".encode()).hexdigest(), None, 40_000 + number)
    model = MODELS[number % 3 == 0]
    by = AnsweredBy(model, "sha256:" + "c" * 64)
    how = How("batch", "job", 1, timestamps.to_text(BEGIN + timedelta(seconds=17 * number)))
    if number % REJECTED_EVERY == REJECTED_EVERY - 1:
        sentence = "The file ends too early. Upload it again."
        return Rejected(image(number), source, by, how, "truncated", sentence)
    best = 0.2 + 0.8 * random_number(number, "score")
    first = int(random_number(number, "label") * len(LABELS))
    labels = tuple(
        Label(LABELS[(first + at) % len(LABELS)], best * (1 - best) ** at) for at in range(5)
    )
    return Classified(image(number), source, by, how, labels, 640, 480, "jpeg", 12.5)


def row(number: int) -> AnswerRow:
    return to_row(answer(number), result_key(image(number)), result_etag(number))


def result_etag(number: int) -> str:
    return hashlib.md5(f"result {number}".encode()).hexdigest()


@cache
def jpeg(colour: int) -> bytes:
    file = io.BytesIO()
    hues = (colour * 47 % 200 + 30, colour * 91 % 200 + 30, colour * 13 % 200 + 30)
    picture = Image.effect_noise((160, 120), 40).convert("RGB")
    Image.blend(picture, Image.new("RGB", (160, 120), hues), 0.7).save(file, "JPEG", quality=70)
    return file.getvalue()


@dataclass
class ManyAnswersS3:
    """`delay_seconds` is what each call takes."""

    number: int
    delay_seconds: float = 0.0
    calls: dict[str, int] = field(default_factory=dict)
    meta = SimpleNamespace(region_name="us-east-1")

    def list_objects_v2(
        self,
        Bucket: str,
        Prefix: str,
        StartAfter: str = "",
        ContinuationToken: str = "",
    ) -> dict[str, Any]:
        self._called("list")
        first = int(ContinuationToken) if ContinuationToken else self._first_after(StartAfter)
        numbers = range(first, min(first + LISTED_AT_ONCE, self.number))
        return {
            "Contents": [self._listed(number) for number in numbers],
            "IsTruncated": numbers.stop < self.number,
            "NextContinuationToken": str(numbers.stop),
        }

    def get_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        self._called("get")
        if Key == ACTIVE_MODEL:
            return _object(ACTIVE.to_json().encode(), "active")
        number = _number_of(image_key(Key) or Key)
        if number is None or number >= self.number:
            raise error("GetObject", 404, "NoSuchKey")
        if image_key(Key):
            return _object(to_json(answer(number)).encode(), result_etag(number))
        return _object(jpeg(number % 24), answer(number).source.etag)

    def _first_after(self, key: str) -> int:
        if not key:
            return 0
        low, high = 0, self.number
        while low < high:
            middle = (low + high) // 2
            if result_key(image(middle)) <= key:
                low = middle + 1
            else:
                high = middle
        return low

    def _listed(self, number: int) -> dict[str, Any]:
        return {
            "Key": result_key(image(number)),
            "ETag": f'"{result_etag(number)}"',
            "Size": 900,
            "LastModified": BEGIN + timedelta(seconds=17 * number),
        }

    def _called(self, name: str) -> None:
        self.calls[name] = self.calls.get(name, 0) + 1
        if self.delay_seconds:
            time.sleep(self.delay_seconds)


@dataclass
class ThumbnailEndpoint:
    """`most` is how many requests there were at the same time."""

    delay_seconds: float = 0.0
    answer: bytes | Exception | None = None
    requests: int = 0
    most: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def invoke_endpoint(self, *, Body: bytes, Accept: str, **_: Any) -> dict[str, Any]:
        assert Accept == "image/jpeg"
        with self._lock:
            self.requests += 1
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            time.sleep(self.delay_seconds)
        finally:
            with self._lock:
                self._now -= 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return {"Body": io.BytesIO(Body if self.answer is None else self.answer)}


def rows(number: int) -> Iterator[AnswerRow]:
    return map(row, range(number))


def _number_of(key: str) -> int | None:
    digits = key.rpartition("IMG_")[2].removesuffix(".jpg")
    number = int(digits) if digits.isdigit() else None
    return number if number is not None and image(number) == key else None


class _Body(io.BytesIO):
    def iter_chunks(self, size: int) -> Iterator[bytes]:
        while chunk := self.read(size):
            yield chunk


def _object(body: bytes, etag: str) -> dict[str, Any]:
    return {
        "Body": _Body(body),
        "ETag": f'"{etag}"',
        "ContentLength": len(body),
        "LastModified": BEGIN,
    }
