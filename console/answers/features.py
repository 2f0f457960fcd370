"""Fetch the features of images from the endpoint, for the order by their neighbours.

The endpoint takes whole images, as only the container decodes them: each is read from S3 and sent
once by each model, REQUESTS_AT_ONCE at a time, while a page shows that order. Only the newest
MOST_IMAGES answers of a filter are compared, of a million images as of 2,000: more would take
hours to send, and a memory that grows with the square of their number.

They are kept as float16 in a SQLite file of at most MOST_BYTES; the oldest are deleted first.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Literal

from botocore.exceptions import BotoCoreError, ClientError

from aws import active_model
from aws.bucket import Bucket
from console.answers.blobs import BlobCache, blob_name
from console.answers.index import AnswerFilter, AnswerIndex, AnswerRow
from domain.errors import SortboxError
from domain.model import ActiveModel
from domain.reply import Refused
from domain.route import endpoint_bytes
from functions.endpoint.classify import ask
from functions.inbox import FetchedImage, Unreadable, fetch

if TYPE_CHECKING:
    from types_boto3_sagemaker_runtime.client import SageMakerRuntimeClient

FILE = "features.db"
MOST_BYTES = 64 * 2**20
"""Of features in the file: 26,000 images of EfficientNet-Lite0, whose 1,280 numbers take 2,560
bytes. SQLite adds a tenth to it."""

LEAST_ROW_BYTES = 512
"""So much an image without features counts, and one with few."""

MOST_IMAGES = 2_000
REQUESTS_AT_ONCE = 2
"""As of thumbnails: uploads are answered first."""

BATCH = 8
STEP_SECONDS = 2.0
WANTED_SECONDS = 120.0
"""So long features are fetched after a page has last asked. Browsers let a page that nobody sees
ask once a minute."""

CHOSEN_SECONDS = 30.0
"""So long the answers of a filter are those to compare, before newer ones are looked for: at a
million answers that reads the whole table."""

MOST_TRIES = 3
"""Of an image for which the endpoint or S3 is in trouble, until a page asks for another filter, or
anew after WANTED_SECONDS."""

NO_MODEL = "No model is active, so there are no features to compare: promote a model first."
NO_ENDPOINT = (
    "The stage has no endpoint (mode none), and only an endpoint answers the features that are "
    "compared: `./sortbox endpoint --mode serverless` makes one."
)
NO_FEATURES = (
    "The active model answers no features to compare: its archive is of an earlier release, or its "
    "network does not end in a linear layer. Train and promote a model with this release."
)
ONLY_CLASSIFIED = "Rejected images have no label to compare: choose another state."

Fetched = bytes | Literal["unreadable", "no features"] | Exception

Version = tuple[str, str]
"""An image's key and an ETag."""


class FeaturesError(SortboxError):
    """The endpoint gave no features of an image, for a reason that says nothing about it."""


@dataclass(frozen=True, slots=True)
class FeatureState:
    """`compared` images have features, of `chosen`, which are the newest of `total`; `missing` are
    still to be fetched. `trouble` says why there are no features, or is ''.
    """

    compared: int
    missing: int
    chosen: int
    total: int
    trouble: str


class FeatureFetcher:
    """Fetches features of the answers that a page wants to compare.

    `step` is for one thread in the background, all other methods for any. The filter of the page
    that has asked last is worked on. `now` is a monotonic clock.
    """

    def __init__(
        self,
        kept: BlobCache,
        bucket: Bucket,
        index: AnswerIndex,
        endpoint: "SageMakerRuntimeClient",
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kept = kept
        self._bucket = bucket
        self._index = index
        self._endpoint = endpoint
        self._now = now
        self._lock = Lock()
        self._chosen: AnswerFilter | None = None
        self._chosen_at = self._asked_at = float("-inf")
        self._total = 0
        self._rows: list[AnswerRow] = []
        self._model: ActiveModel | None = None
        self._features: dict[Version, bytes] = {}
        self._tries: dict[Version, int] = {}
        self._trouble = ""

    def want(self, chosen: AnswerFilter) -> FeatureState:
        """Have the features of the newest answers of this filter be fetched; how far that is."""
        with self._lock:
            now = self._now()
            if chosen != self._chosen or now >= self._asked_at + WANTED_SECONDS:
                self._tries = {}
            self._asked_at = now
            if chosen != self._chosen or now >= self._chosen_at + CHOSEN_SECONDS:
                self._choose(chosen)
                self._chosen, self._chosen_at = chosen, now
            compared = sum(bool(self._features.get(_version(row))) for row in self._rows)
            missing = len(self._missing())
            rejected = ONLY_CLASSIFIED if chosen.status == "rejected" else ""
            trouble = rejected or self._trouble
            return FeatureState(compared, missing, len(self._rows), self._total, trouble)

    def fetched(self) -> list[tuple[AnswerRow, bytes]]:
        """The answers that were wanted last and have features, in float16, the newest first; all of
        the same length.
        """
        with self._lock:
            pairs = [(row, self._features.get(_version(row), b"")) for row in self._rows]
        length = next((len(features) for _, features in pairs if features), 0)
        return [(row, features) for row, features in pairs if features and len(features) == length]

    def step(self, seconds: float = STEP_SECONDS) -> float | None:
        """Fetch for about `seconds`. Returns the seconds until there may be more to do.

        Raises FeaturesError or botocore's errors where nothing could be fetched.
        """
        if self._now() >= self._asked_at + WANTED_SECONDS:
            return 1.0
        model = active_model.read(self._bucket.client, self._bucket.name).active
        with self._lock:
            if model != self._model:
                self._model = model
                self._features, self._tries, self._trouble = {}, {}, ""
                self._load()
            if model is None or model.endpoint is None:
                self._trouble = NO_ENDPOINT if model else NO_MODEL
            if self._trouble or model is None:
                return 1.0
        until = self._now() + seconds
        while self._now() < until:
            with self._lock:
                batch = self._missing()[:BATCH]
            if not batch:
                return 1.0
            self._fetch_all(batch, model)
        return 0.01

    def _choose(self, chosen: AnswerFilter) -> None:
        if chosen.status == "rejected":
            self._rows, self._total = [], 0
        else:
            classified = replace(chosen, status="classified")
            self._rows = self._index.select(classified, "newest", 0, MOST_IMAGES)
            self._total = self._index.count(classified)
        versions = set(map(_version, self._rows))
        self._features = {one: row for one, row in self._features.items() if one in versions}
        self._tries = {one: tries for one, tries in self._tries.items() if one in versions}
        self._load()

    def _load(self) -> None:
        """What is kept of the rows, by the model."""
        if self._model is None:
            return
        unknown = (_version(row) for row in self._rows if _version(row) not in self._features)
        names = {blob_name(*version, str(self._model.id)): version for version in unknown}
        for name, features in self._kept.get_all(names).items():
            self._features[names[name]] = features

    def _missing(self) -> list[AnswerRow]:
        """The rows to fetch, those first that have been tried the least."""
        if self._trouble:
            return []
        tries = [
            (self._tries.get(_version(row), 0), row)
            for row in self._rows
            if _version(row) not in self._features
        ]
        tries.sort(key=lambda one: one[0])
        return [row for count, row in tries if count < MOST_TRIES]

    def _fetch_all(self, rows: list[AnswerRow], model: ActiveModel) -> None:
        """An image that fails stops no other. Raises the first error if all fail."""
        with ThreadPoolExecutor(REQUESTS_AT_ONCE) as threads:
            results = list(threads.map(lambda row: self._fetch(row, model), rows))
        for row, result in zip(rows, results, strict=True):
            version = _version(row)
            with self._lock:
                match result:
                    case bytes():
                        most = MOST_BYTES // max(len(result), LEAST_ROW_BYTES)
                        self._kept.keep(blob_name(*version, str(model.id)), result, most)
                        self._features[version] = result
                    case "unreadable":
                        self._features[version] = b""
                    case "no features":
                        self._trouble = NO_FEATURES
                    case _:
                        self._tries[version] = self._tries.get(version, 0) + 1
        errors = [result for result in results if isinstance(result, Exception)]
        if len(errors) == len(rows):
            raise errors[0]

    def _fetch(self, row: AnswerRow, model: ActiveModel) -> Fetched:
        """No bytes where there will be none of this version: the image is gone, replaced, refused,
        or too large to send. Unreadable ones may be restored.
        """
        limit = endpoint_bytes(model.mode)
        try:
            image = fetch(self._bucket.client, self._bucket.name, row.image, limit)
            if isinstance(image, Unreadable):
                return "unreadable"
            if not isinstance(image, FetchedImage) or image.source.etag != row.etag:
                return b""
            reply = ask(self._endpoint, model, image.content, features=True)
        except (BotoCoreError, ClientError, SortboxError) as error:
            return error
        except ValueError as error:
            return FeaturesError(f"The endpoint gave no features: {error}.")
        if reply.server.model_id != str(model.id):
            return FeaturesError(
                "The endpoint still runs another model than the active one; features are fetched "
                "once it runs that."
            )
        if isinstance(reply, Refused):
            return b""
        return reply.features.to_bytes() if reply.features else "no features"


def _version(row: AnswerRow) -> Version:
    return row.image, row.etag
