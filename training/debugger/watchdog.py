"""Notices that no step comes while it does not: the loop itself could say so only afterwards."""

from collections.abc import Callable
from threading import Event, Thread

LOOKS = 20
"""In the time that is waited for."""


class Alarm:
    """A thread that looks at a clock, and rings once at most."""

    def __init__(
        self, seconds: float, silence: Callable[[], float], ring: Callable[[float], None]
    ) -> None:
        """`silence`: seconds since the last sign of life."""
        self._seconds = seconds
        self._silence = silence
        self._ring = ring
        self._over = Event()
        self._thread = Thread(target=self._listen, name="stall", daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._over.wait(self._seconds / LOOKS):
            silent = self._silence()
            if silent > self._seconds:
                self._ring(silent)
                return

    def close(self) -> None:
        self._over.set()
        self._thread.join()
