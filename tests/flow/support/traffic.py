"""Uploads that go on while a stage changes."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from tests.flow.support.drive import Cloud

MOST_UPLOADS = 400


@dataclass
class Traffic:
    """Uploads an image every `seconds`, until it is stopped or MOST_UPLOADS are uploaded.

    `key_of` names the image of a number; `bodies` has what was uploaded, by key.
    """

    cloud: Cloud
    key_of: Callable[[int], str]
    seconds: float
    bodies: dict[str, bytes] = field(default_factory=dict)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._upload)
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _upload(self) -> None:
        for number in range(MOST_UPLOADS):
            key, body = self.key_of(number), b"upload %d" % number
            self.cloud.drop(key, body)
            self.bodies[key] = body
            if self._stopped.wait(self.seconds):
                return
