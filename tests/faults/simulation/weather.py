"""What can befall one invocation: throttled at a call, killed around a write or at its end."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Literal

from tests.support.fakes.aws import error

WRITES = ("PutObject", "DeleteObject", "SendMessage", "CreateTransformJob", "PutEvents")

End = Literal["lives", "killed before a write", "killed after a write", "killed at its end"]


class Killed(BaseException):
    """The process is gone, with all that it was told and had not yet done."""


@dataclass
class Fate:
    """`at` counts writes from 1; `throttled_at` counts calls from 1, and 0 is never."""

    end: End = "lives"
    at: int = 1
    throttled_at: int = 0
    calls: int = 0
    writes: int = 0
    is_dead: bool = False


@dataclass(frozen=True)
class Climate:
    throttled: float = 0.03
    killed: float = 0.025
    """At each of three points; many end before they come to it, and 1 % are left."""
    meddled: float = 0.005
    """Of the calls: somebody else does something just before."""


@dataclass(frozen=True)
class Outage:
    """From `begin` to `end`, in seconds, every call of these operations is answered so."""

    operations: tuple[str, ...]
    status: int
    code: str
    begin: float = 0
    end: float = 0


@dataclass
class Weather:
    """The fates of invocations, one within the other where one is interrupted by the next."""

    random: Random
    climate: Climate
    meddle: Callable[[str], None]
    now: Callable[[], float] = lambda: 0.0
    outages: tuple[Outage, ...] = ()
    fates: list[Fate] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)
    first_outage_at: float = float("inf")

    def draw(self, most_writes: int) -> Fate:
        chance, climate = self.random.random(), self.climate
        points: tuple[End, ...] = (
            "killed before a write",
            "killed after a write",
            "killed at its end",
        )
        for number, end in enumerate(points, 1):
            if chance < number * climate.killed:
                return Fate(end, self.random.randint(1, most_writes))
        if chance < 3 * climate.killed + climate.throttled:
            return Fate(throttled_at=self.random.randint(1, 4 * most_writes))
        return Fate()

    def before(self, operation: str, key: str) -> None:
        if not self.fates:
            return
        fate = self.fates[-1]
        if fate.is_dead:
            raise Killed
        if self.random.random() < self.climate.meddled and len(self.fates) < 3:
            self.meddle(key)
        for outage in self.outages:
            if operation in outage.operations and outage.begin <= self.now() < outage.end:
                self.seen["in an outage"] += 1
                self.first_outage_at = min(self.first_outage_at, self.now())
                raise error(operation, outage.status, outage.code)
        fate.calls += 1
        fate.writes += operation in WRITES
        if fate.calls == fate.throttled_at:
            self.seen["throttled"] += 1
            raise error(operation, 503, "SlowDown")
        if operation in WRITES and fate.writes == fate.at:
            self._die_if(fate, "killed before a write")

    def after(self, operation: str, key: str) -> None:
        if self.fates and not self.fates[-1].is_dead and self.fates[-1].writes == self.fates[-1].at:
            self._die_if(self.fates[-1], "killed after a write")

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What people and services do is no call of an invocation: nothing befalls it."""
        fates, self.fates = self.fates, []
        try:
            yield
        finally:
            self.fates = fates

    def at_the_end(self, fate: Fate) -> None:
        self._die_if(fate, "killed at its end")

    def _die_if(self, fate: Fate, point: End) -> None:
        if fate.end == point:
            self.seen[point] += 1
            fate.is_dead = True
            raise Killed
