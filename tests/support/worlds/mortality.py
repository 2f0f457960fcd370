"""Processes that die before a call, and the redelivery that follows."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.support.fakes.aws import FakeSQS, no_hook
from tests.support.worlds.folders import World

HIDDEN_SECONDS = 2_400
"""Then what a process held that died is visible again."""


class Killed(Exception):
    """The process is gone: so is every call after this one, until a message is delivered anew."""


@dataclass
class Death:
    """Comes before call number `at`, to S3 or SageMaker, and lasts until `revive`."""

    at: int
    calls: int = 0
    is_dead: bool = False

    def __call__(self, *_: str) -> None:
        self.calls += 1
        self.is_dead = self.is_dead or self.calls == self.at
        if self.is_dead:
            raise Killed

    def revive(self) -> None:
        self.is_dead = False


@dataclass
class MortalQueues(FakeSQS):
    death: Callable[[], None] = lambda: None

    def send_message(self, **message: Any) -> dict[str, Any]:
        self.death()
        return super().send_message(**message)


def mortal(death: Death, work: Callable[[], None], world: World) -> None:
    """A death leaves the message in its queue, which delivers it again."""
    try:
        work()
    except Killed:
        death.revive()
        world.s3.clock.tick(HIDDEN_SECONDS)
        world.drain()


def lived_through(world: World, death: Death, rounds: int) -> World:
    """From the messages that are queued to rest; jobs end well, `rounds` times over.

    Every call to S3 and to a queue, and every job that is created, may be a process's last.
    """
    world.sqs = MortalQueues(world.sqs.sent, death=death)
    world.s3.hook = death
    world.sagemaker.meanwhile = death
    mortal(death, world.drain, world)
    for _ in range(rounds):
        for name in world.sagemaker.running():
            world.s3.hook = no_hook
            world.sagemaker.end(name)
            world.s3.hook = death
            mortal(death, partial(world.changed, name), world)
    world.s3.hook = no_hook
    world.tick()
    return world


def calls_of(story: Callable[[Death], World]) -> int:
    """How many a story has in which nobody dies."""
    death = Death(at=0)
    story(death)
    assert death.calls > 100
    return death.calls
