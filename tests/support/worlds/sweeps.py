"""What sweeps are tested with: a world in which everything is answered by the model before."""

from typing import Any

from domain.keys import SWEEPS, result_key
from domain.result import MODEL_ID
from tests.support.worlds.folders import World, with_late
from tests.support.worlds.uploads import model

SINGLES = [f"inbox/{number}.jpg" for number in range(3)]
TRIP = [f"inbox/trip/{number}.jpg" for number in range(6)]
DEEP = [f"inbox/trip/day 1/{number}.jpg" for number in range(3)]
ALL = sorted(SINGLES + TRIP + DEEP)


def answered_long_ago(*keys: str) -> World:
    """By the first model; the second is active."""
    world = World(settings=with_late(0))
    world.fill(*keys)
    world.answer(*keys)
    world.s3.clock.tick(3600)
    world.promote(2)
    return world


def models(world: World) -> dict[str, str]:
    return {key: world.s3.objects[result_key(key)].metadata[MODEL_ID] for key in world.images()}


def by(number: int, keys: list[str]) -> dict[str, str]:
    return {key: str(model(number)) for key in keys}


def status(world: World) -> dict[str, Any]:
    """The last sweep's."""
    statuses = [key for key in world.s3.objects if key.startswith(SWEEPS) and "_status" in key]
    return world.read_json(sorted(statuses)[-1])
