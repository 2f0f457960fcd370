"""Whatever bytes an archive has, it is refused by a sentence, or an entry of it is."""

import tarfile
from random import Random

import pytest

from functions.messages import Unpack
from tests.support.builders.packed import gzipped, tarred, zipped
from tests.support.worlds.folders import World

FILES = {f"day {n}/{n}.jpg": b"photo %d " % n * 20 for n in range(4)} | {"é" * 60: b"long"}
WHOLE = {
    "a.zip": zipped(FILES),
    "a.tar": tarred(FILES),
    "gnu.tar": tarred(FILES, tarfile.GNU_FORMAT),
    "a.tgz": gzipped(tarred(FILES)),
    "behind.zip": b"MZ" * 300 + zipped(FILES),
    "endless.tar": tarred(FILES, tarfile.GNU_FORMAT)[: 512 * 14],
    "several.tgz": gzipped(tarred(FILES)[:1_000]) + gzipped(tarred(FILES)[1_000:]) + bytes(700),
}


def mutated(content: bytes, random: Random) -> bytes:
    """Some bytes changed, a piece cut out or put in twice, or an end missing."""
    changed = bytearray(content)
    for _ in range(random.randint(1, 4)):
        at, size = random.randrange(len(changed)), random.randint(1, 8)
        match random.randrange(6):
            case 0:
                del changed[at : at + size]
            case 1:
                changed[at:at] = changed[at : at + size]
            case 2 if len(changed) > 600:
                del changed[random.randrange(500, len(changed)) :]
            case _:
                changed[at] = random.choice([0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)])
    return bytes(changed)


@pytest.mark.parametrize("name", WHOLE)
def test_a_damaged_archive_is_never_an_error_of_ours(name: str) -> None:
    random = Random(name)
    for _ in range(60):
        world = World()
        world.put(f"inbox/{name}", mutated(WHOLE[name], random))
        world.send(Unpack(f"inbox/{name}"))
        world.drain()
        report = world.read_json(f"outbox/_archives/{name}.json")
        assert report["state"] in ("unpacked", "rejected")
        assert (report["reason"] is None) == (report["state"] == "unpacked")
        if name.endswith(".zip"):  # a tar has no checksums
            images = [
                world.s3.objects[key].body for key in world.images() if key != f"inbox/{name}"
            ]
            assert {*images} <= {*FILES.values()}
