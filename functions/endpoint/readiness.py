"""Check whether the endpoint answers before an image is downloaded for it.

Each process remembers whether its last request failed. If so, it first probes the endpoint with an
image of one pixel, in one thread and at most once in PROBE_SECONDS, and fetches no image until the
probe succeeds. An outage then costs no downloads, and an endpoint that is busy for one image in ten
costs one small request for each of those.
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
"""The errors that `classify.ask` raises; they say nothing about the image."""


class NotAnsweringError(Exception):
    """The endpoint does not answer. No image was downloaded, and SQS retries the message."""


@dataclass
class Readiness:
    """Whether the endpoint answered the last request of this process.

    `now` is the wall clock: the monotonic clock of a frozen Lambda may stop.
    """

    now: Callable[[], float] = time.time
    is_in_doubt: bool = False
    _failed_at: float | None = None
    _lock: Lock = field(default_factory=Lock)

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Wraps a request to the endpoint: an error puts it in doubt, an answer ends the doubt."""
        try:
            yield
        except NO_ANSWER:
            self.is_in_doubt = True
            raise
        self.is_in_doubt = False

    def check(self, client: "SageMakerRuntimeClient", active: ActiveModel) -> None:
        """Raises NotAnsweringError if the endpoint is in doubt and does not answer a probe. A stage
        without an endpoint waits for none.
        """
        if self.is_in_doubt and active.endpoint is not None:
            with self._lock:  # other threads wait for the result of the first one's probe
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
