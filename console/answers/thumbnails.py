"""Thumbnails of the gallery. The container makes them, as only it decodes untrusted images.

They are kept in a SQLite file of at most MOST_KEPT, some 100 MB; the oldest are deleted first. At
most two are requested at once, so that the endpoint answers uploads first, and after an error that
is not about the image none is for some seconds.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from aws import active_model
from aws.bucket import Bucket
from aws.errors import is_evidence
from batch.unreadable import denial_of
from console.answers.blobs import BlobCache, blob_name
from domain.model import ActiveModel
from domain.route import endpoint_bytes
from functions.endpoint.thumbnails import request_thumbnail
from functions.inbox import Absent, FetchedImage, Image, Unreadable, fetch

if TYPE_CHECKING:
    from types_boto3_sagemaker_runtime.client import SageMakerRuntimeClient

FILE = "thumbnails.db"
MOST_KEPT = 20_000
REQUESTS_AT_ONCE = 2
MOST_WAITING = 8
"""Requests that wait for their turn; each takes one of the server's 40 threads."""

REST_SECONDS = 5.0
"""After an error of the endpoint or of S3."""

POINTER_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class NoThumbnail:
    """There is none; `is_final`: nor will there be one of this version of the image."""

    is_final: bool


class ThumbnailCache:
    """Thumbnails by image and version (ETag). Every method may be called from any thread."""

    def __init__(
        self,
        path: Path,
        bucket: Bucket,
        endpoint: "SageMakerRuntimeClient",
        now: Callable[[], float] = time.monotonic,
        most_kept: int = MOST_KEPT,
    ) -> None:
        self._kept = BlobCache(path, "thumbnails", "jpeg")
        self._bucket = bucket
        self._endpoint = endpoint
        self._now = now
        self._most_kept = most_kept
        self._turns = threading.BoundedSemaphore(REQUESTS_AT_ONCE)
        self._waiting = threading.BoundedSemaphore(REQUESTS_AT_ONCE + MOST_WAITING)
        self._lock = threading.Lock()
        self._rests_until = float("-inf")
        self._pointer: tuple[float, ActiveModel | None] | None = None

    def get(self, image: str, etag: str) -> bytes | NoThumbnail:
        """The thumbnail, from the cache or else from the endpoint."""
        name = blob_name(image, etag)
        kept = self._kept.get(name)
        if kept is not None:
            return kept or NoThumbnail(is_final=True)
        if self._now() < self._rests_until or not self._waiting.acquire(blocking=False):
            return NoThumbnail(is_final=False)
        try:
            with self._turns:
                return self._request(image, etag, name)
        finally:
            self._waiting.release()

    def _request(self, image: str, etag: str, name: bytes) -> bytes | NoThumbnail:
        if self._now() < self._rests_until:
            return NoThumbnail(is_final=False)
        try:
            active = self._active()
            fetched = self._fetch(image, active)
        except (BotoCoreError, ClientError) as error:
            if not isinstance(error, ClientError) or denial_of(error) is None:
                self._rest()
            return NoThumbnail(is_final=False)
        if active is None or fetched is None or isinstance(fetched, Unreadable):
            return NoThumbnail(is_final=False)
        jpeg: bytes | None = None
        if isinstance(fetched, FetchedImage) and fetched.source.etag == etag:
            try:
                jpeg = request_thumbnail(self._endpoint, active, fetched.content)
            except (BotoCoreError, ClientError) as error:
                if not is_evidence(error):
                    self._rest()
                    return NoThumbnail(is_final=False)
        self._kept.keep(name, jpeg or b"", self._most_kept)
        return jpeg or NoThumbnail(is_final=True)

    def _fetch(self, image: str, active: ActiveModel | None) -> Image | Absent | None:
        """None without an endpoint, which may be there later."""
        if active is None or active.endpoint is None:
            return None
        limit = endpoint_bytes(active.mode)
        return fetch(self._bucket.client, self._bucket.name, image, limit)

    def _rest(self) -> None:
        self._rests_until = self._now() + REST_SECONDS

    def _active(self) -> ActiveModel | None:
        with self._lock:
            if self._pointer is None or self._now() > self._pointer[0] + POINTER_SECONDS:
                pointer = active_model.read(self._bucket.client, self._bucket.name)
                self._pointer = self._now(), pointer.active
            return self._pointer[1]
