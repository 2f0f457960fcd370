"""What keeps answers up to date: sweeps asked for by schedules and people, stopped and resumed."""

from random import Random

from tests.faults.cloud.traffic import Halt, Plan, Promote, Reclassify, upload

GRACE_SECONDS = 1_000.0
"""By then an image without an answer is no longer left to its own event."""


def during(seconds: float) -> Plan:
    """Beside the uploads. The last who asks is a person, so that nothing waits for one for ever."""
    at = seconds / 20
    return [
        (2 * at, Reclassify(kind="unanswered", is_person=False)),
        (7 * at, Reclassify("f0/")),
        (8 * at, Reclassify()),
        (9 * at, Halt()),
        (10 * at, Reclassify(is_person=False)),
        (12 * at, Reclassify()),
        (14 * at, Halt(for_good=True)),
        (15 * at, Reclassify(kind="unanswered")),
        (16 * at, Reclassify(is_person=False)),
        (18 * at, Reclassify()),
    ]


def afterwards(random: Random, images: list[str], number: int) -> Plan:
    """Events of some `images` are lost; `number` and one more model are promoted, and swept for.

    The second while the sweep for the first is under way.
    """
    forgotten = random.sample(images, max(3, len(images) // 100))
    lost = [upload(random, key, is_told=False) for key in forgotten]
    return [
        *((random.uniform(0, 60), each) for each in lost),
        (GRACE_SECONDS, Promote(number)),
        (GRACE_SECONDS + 60, Reclassify(kind="unanswered", is_person=False)),
        (GRACE_SECONDS + 120, Reclassify()),
        (GRACE_SECONDS + 400, Promote(number + 1)),
        (GRACE_SECONDS + 700, Halt()),
        (GRACE_SECONDS + 2_000, Reclassify()),
    ]
