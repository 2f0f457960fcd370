"""Whether the endpoint answers, known before an image is fetched for it.

Each process remembers whether its last question went unanswered. While it did, the next image is
not fetched: first a picture of one pixel is asked about, at most every few seconds, by one thread.
So an outage costs a message nothing but its receives, and an endpoint that refuses one image in ten
because it is busy costs a small request for each refusal.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from domain.model import ActiveModel
from domain.reply import PROBE
from functions.endpoint.classify import ask
from functions.runtime import count

if TYPE_CHECKING:
    from types_boto3_sagemaker_runtime.client import SageMakerRuntimeClient

PROBE_SECONDS = 5.0

NO_ANSWER = (BotoCoreError, ClientError, ValueError)
"""What `classify.ask` raises: none of it says anything about the image."""


class NotAnsweringError(Exception):
    """The endpoint does not answer at present; nothing was fetched, and the message comes again."""


@dataclass
class Readiness:
    """`now` is the wall clock: a frozen process's monotonic one may stand still."""

    now: Callable[[], float] = time.time
    is_in_doubt: bool = False
    _failed_at: float | None = None
    _lock: Lock = field(default_factory=Lock)

    @contextmanager
    def watch(self) -> Iterator[None]:
        """In here the endpoint is asked: an error makes it doubtful, an answer ends the doubt."""
        try:
            yield
        except NO_ANSWER:
            self.is_in_doubt = True
            raise
        self.is_in_doubt = False

    def check(self, client: "SageMakerRuntimeClient", active: ActiveModel) -> None:
        """Raises NotAnsweringError where the endpoint is in doubt and says nothing to a probe."""
        if self.is_in_doubt:
            with self._lock:  # who comes meanwhile waits for what the first hears
                self._probe(client, active)

    def _probe(self, client: "SageMakerRuntimeClient", active: ActiveModel) -> None:
        if not self.is_in_doubt:
            return
        if self._failed_at is not None and 0 <= self.now() - self._failed_at < PROBE_SECONDS:
            raise NotAnsweringError("the endpoint did not answer a few seconds ago")
        count("EndpointProbes")
        try:
            ask(client, active, PROBE)
        except NO_ANSWER as error:
            self._failed_at = self.now()
            raise NotAnsweringError(f"the endpoint does not answer: {error}") from error
        self.is_in_doubt, self._failed_at = False, None
