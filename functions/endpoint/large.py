"""Singles between 6 and 25 MB: the endpoint is asked, until it says that it takes no such body.

SageMaker's developer guide names 25 MB for a real-time endpoint; older texts, and the model of
InvokeEndpoint in botocore, 6,291,456 bytes. Which of them holds is seen when a body is refused, and
remembered for an hour: until then such singles share a transform job.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import BoundedSemaphore, Lock
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from aws.errors import is_too_large
from domain.model import ActiveModel
from domain.reply import Reply
from domain.route import ENDPOINT_BYTES, LARGE_BODY_BYTES
from functions.endpoint.classify import ask
from functions.endpoint.expensive import is_timeout
from functions.inbox import Absent, FetchedImage, Image
from functions.runtime import count, logger

if TYPE_CHECKING:
    from types_boto3_sagemaker_runtime.client import SageMakerRuntimeClient

REMEMBERED_SECONDS = 3600

MAX_BODIES = 2
"""Bodies in memory: ten of 25 MB, each twice while it is read, are more than onUpload has."""

TURN_SECONDS = 5
"""With the endpoint's 45 s less than the function's 60 s."""


@dataclass
class LargeBodies:
    """`now` is the wall clock: a frozen process's monotonic one may stand still."""

    now: Callable[[], float] = time.time
    turn_seconds: float = TURN_SECONDS
    _refused_at: float | None = None
    _lock: Lock = field(default_factory=Lock)
    _turns: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(MAX_BODIES))

    def are_asked_about(self, size: int) -> bool:
        if not ENDPOINT_BYTES < size <= LARGE_BODY_BYTES:
            return False
        with self._lock:
            refused_at = self._refused_at
        return refused_at is None or not 0 <= self.now() - refused_at < REMEMBERED_SECONDS

    def ask(
        self,
        client: "SageMakerRuntimeClient",
        active: ActiveModel,
        image: Image,
        fetch: Callable[[int], Image | Absent],
    ) -> Reply | None:
        """None where a transform job has to answer: the endpoint takes no such body, takes too long
        over it or over others, or the image has changed since it was looked at. Raises as
        `classify.ask` does.
        """
        if not self._turns.acquire(timeout=self.turn_seconds):
            return None
        try:
            if not self.are_asked_about(image.source.bytes):  # another was refused meanwhile
                return None
            fetched = fetch(LARGE_BODY_BYTES)
            if not isinstance(fetched, FetchedImage) or fetched.source != image.source:
                return None
            return self._reply_to(client, active, fetched)
        finally:
            self._turns.release()

    def _reply_to(
        self, client: "SageMakerRuntimeClient", active: ActiveModel, image: FetchedImage
    ) -> Reply | None:
        """A connection that is closed over such a body may be a refusal too, or a time-out."""
        try:
            return ask(client, active, image.content)
        except (BotoCoreError, ClientError) as error:
            if isinstance(error, ClientError) and is_too_large(error):
                self._remember(image)
            elif not is_timeout(error):
                raise
            return None

    def _remember(self, image: Image) -> None:
        logger.info("the endpoint takes no such body", bytes=image.source.bytes)
        count("LargeBodiesRefused")
        with self._lock:
            self._refused_at = self.now()
