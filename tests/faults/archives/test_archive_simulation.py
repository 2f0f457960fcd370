"""Archives that people upload, replace and remove, while processes die and events come late."""

import io
from contextlib import redirect_stdout
from random import Random
from typing import Any

import pytest

from domain.keys import ARCHIVES, LEASES
from domain.route import ARCHIVE_SUFFIXES, InFolder, route
from functions.runtime import logger
from tests.faults.cloud.expected import verdict_on
from tests.faults.cloud.traffic import Act, Plan, Ready, Remove, Upload
from tests.faults.simulation.doors import BACKLOG, FOLDER, INBOX, PAGE
from tests.faults.simulation.simulation import Simulation
from tests.support.builders.packed import gzipped, tarred, zipped

NAMES = ("one.zip", "two.tar", "three.tar.gz", "four.tgz", "one/more.zip", "broken.zip")
SECONDS = 4_000.0


class WithArchives(Simulation):
    """S3 sends an event of what the functions put into the inbox, as of what people do."""

    def __init__(self, seed: int, plan: Plan) -> None:
        super().__init__(seed, plan)
        self.storage.after = self._after

    def _after(self, operation: str, key: str) -> None:
        if operation == "PutObject" and key.startswith("inbox/") and self.weather.fates:
            stored = self.storage.objects[key]
            seconds = (stored.last_modified - self.storage.began).total_seconds()
            self.storage.first_seen.setdefault((key, stored.version_id), seconds)
            self._notify(key, "ObjectCreated:Put")
        self.weather.after(operation, key)

    def _meddle(self, key: str) -> None:
        """People replace images just before a call, and never an archive by an image."""
        if not key.removesuffix(".json").endswith(ARCHIVE_SUFFIXES):
            super()._meddle(key)


def files_of(random: Random) -> dict[str, bytes]:
    """Some files, of a few names, so that versions of an archive share some and differ in some."""
    names = random.sample(range(40), random.randint(1, 25))
    return {f"day {n % 3}/{n}.jpg": b"%d %d" % (n, random.randint(0, 2)) for n in names}


def packed(name: str, files: dict[str, bytes]) -> bytes:
    if name == "broken.zip":
        return b"this is no archive"
    if name.endswith("zip"):
        return zipped(files)
    return gzipped(tarred(files)) if name.endswith("gz") else tarred(files)


def life(random: Random) -> tuple[Plan, dict[str, dict[str, bytes]]]:
    """What people do, and the files of each archive as it is at the end."""
    plan: list[tuple[float, Act]] = []
    last: dict[str, dict[str, bytes]] = {}
    for name in NAMES:
        for at in sorted(random.uniform(0, SECONDS) for _ in range(random.randint(1, 4))):
            files = last[name] = files_of(random)
            plan.append((at, Upload(f"inbox/{name}", packed(name, files))))
    removed = random.choice(NAMES[:4])
    plan.append((SECONDS + 1, Remove(f"inbox/{removed}")))
    last.pop(removed)
    plan += [
        (random.uniform(0, SECONDS), Upload(f"inbox/{random.choice(['one', 'x'])}/{n}.jpg", b"own"))
        for n in range(20)
    ]
    plan.append((random.uniform(0, SECONDS), Ready("inbox/one/_READY")))
    return plan, last


def left_after(seed: int) -> tuple[WithArchives, dict[str, dict[str, bytes]]]:
    plan, last = life(Random(seed))
    simulation = WithArchives(seed, plan)
    with redirect_stdout(io.StringIO()):
        simulation.run()
    return simulation, last


@pytest.fixture(autouse=True)
def quiet() -> Any:
    before = logger.log_level
    logger.setLevel("CRITICAL")
    yield
    logger.setLevel(before)


def assert_all_is_unpacked_and_answered(seed: int) -> None:
    simulation, last = left_after(seed)
    objects = simulation.storage.objects
    for name, files in last.items():
        if name == "broken.zip":
            continue
        prefix = f"inbox/{name.partition('.')[0]}/"
        there = {key: objects[prefix + key].body for key in files if prefix + key in objects}
        assert there.keys() == files.keys(), name
        changed = {key for key in files if there[key] != files[key]}
        assert all(there[key].startswith((b"image", b"junk", b"own")) for key in changed), name
    verdict = verdict_on(simulation)
    assert verdict.trouble() == {"orphans": ["outbox/broken.zip.json"]}  # no image has it
    assert {key for key in objects if key.startswith((ARCHIVES, LEASES))} == set()
    answer, broken = objects["outbox/broken.zip.json"], objects["inbox/broken.zip"]
    assert answer.metadata["source-version"] == broken.version_id
    assert all(simulation.queues[url].dead == [] for url in (INBOX, BACKLOG, FOLDER, PAGE))
    images = [key for key in objects if isinstance(route(key), InFolder)]
    assert len(images) >= sum(map(len, last.values())) - len(last["broken.zip"])


@pytest.mark.parametrize("seed", range(8))
def test_every_archive_is_unpacked_and_its_images_are_answered(seed: int) -> None:
    assert_all_is_unpacked_and_answered(seed)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(100, 200))
def test_with_many_seeds(seed: int) -> None:
    assert_all_is_unpacked_and_answered(seed)
