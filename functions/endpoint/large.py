"""Singles between 6 and 25 MB: the endpoint is asked, until it says that it takes no such body.

SageMaker's developer guide names 25 MB for a real-time endpoint; older texts, and the model of
InvokeEndpoint in botocore, 6,291,456 bytes. Which of them holds is seen when a body is refused, and
remembered for an hour: until then such singles share a transform job.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import BoundedSemaphore, Lock

from botocore.exceptions import BotoCoreError, ClientError, SSLError

from aws.errors import is_too_large
from domain.reply import Reply
from domain.route import ENDPOINT_BYTES, LARGE_BODY_BYTES
from functions.endpoint.expensive import is_timeout
from functions.endpoint.readiness import Readiness
from functions.inbox import Absent, FetchedImage, Image
from functions.runtime import count, logger

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
        image: Image,
        fetch: Callable[[int], Image | Absent],
        invoke: Callable[[bytes], Reply],
        readiness: Readiness,
    ) -> Reply | None:
        """None where a transform job has to answer: the endpoint takes no such body, takes too long
        over it or over others, or the image has changed since it was looked at. `invoke` is
        `classify.ask` for the endpoint; raises as it does.
        """
        if not self._turns.acquire(timeout=self.turn_seconds):
            return None
        try:
            if not self.are_asked_about(image.source.bytes):  # another was refused meanwhile
                return None
            fetched = fetch(LARGE_BODY_BYTES)
            if not isinstance(fetched, FetchedImage) or fetched.source != image.source:
                return None
            return self._reply_to(fetched, invoke, readiness)
        finally:
            self._turns.release()

    def _reply_to(
        self, image: FetchedImage, invoke: Callable[[bytes], Reply], readiness: Readiness
    ) -> Reply | None:
        """A connection that is closed over such a body may be a refusal too, or a time-out. Closed
        while the body is sent over TLS, urllib3 reports it as an SSLError.
        """
        try:
            with readiness.watch():
                return self._answer(image, invoke)
        except (BotoCoreError, ClientError) as error:
            if not is_timeout(error) and not isinstance(error, SSLError):
                raise
            return None

    def _answer(self, image: FetchedImage, invoke: Callable[[bytes], Reply]) -> Reply | None:
        """A refusal for the body's size is an answer of the endpoint, too."""
        try:
            return invoke(image.content)
        except ClientError as error:
            if not is_too_large(error):
                raise
            self._remember(image)
            return None

    def _remember(self, image: Image) -> None:
        logger.info("the endpoint takes no such body", bytes=image.source.bytes)
        count("LargeBodiesRefused")
        with self._lock:
            self._refused_at = self.now()
